"""The controller's HTTPS server: enrolment (EST), devices' own requests, and whatever routers are mounted beside."""
