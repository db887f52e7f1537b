"""What admins ask of the controller over HTTPS, under /api/v1; core/admin_actions.py says who may."""
