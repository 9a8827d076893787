"""What a recording is, and where it is kept: catalogue, object store, audit log, settings, commands."""
