"""Async services: they drive core decisions over ports."""
