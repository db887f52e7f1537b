"""The controller's async loops: they drive core over ports."""
