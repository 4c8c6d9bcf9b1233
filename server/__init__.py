"""The model server: protocols, queue, engine, telemetry and the command line."""
