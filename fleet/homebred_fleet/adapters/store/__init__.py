"""The controller's database: SQLAlchemy tables, their migrations, and what is asked of them."""
