"""`dgfnet train` and `dgfnet publish`: pictures, masks, losses, recipes, the loop and what it leaves behind."""
