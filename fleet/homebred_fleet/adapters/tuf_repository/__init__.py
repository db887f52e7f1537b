"""The repositories of signed metadata that devices trust, on The Update Framework's own implementation.

The only importer of tuf and securesystemslib here. Nothing in it needs a controller, a database or a network: the
offline repository is a folder on somebody's laptop.
"""
