"""The demo: plays the flows over the public doors and checks each outcome. The one part of infra that knows courses."""
