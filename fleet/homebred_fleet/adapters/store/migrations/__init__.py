"""Alembic's folder: how the tables came to be what tables.py says; a released revision is never changed."""
