"""What install.py does. Standard library only: it runs before there is a `.venv`, with the user's own Python."""
