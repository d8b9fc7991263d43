"""`dgfnet evaluate`: fillers side by side on the same cases, figures, tables and the report."""
