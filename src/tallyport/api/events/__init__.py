"""What happened, for those who listen: pages, streams, and the shape that webhooks carry."""
