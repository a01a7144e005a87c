"""The services in containers: image, databases, secrets."""
