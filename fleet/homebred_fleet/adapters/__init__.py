"""The only importers of SQLAlchemy, FastAPI, paho and cryptography."""
