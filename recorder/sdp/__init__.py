"""Session descriptions (RFC 8866) and how a session recording server answers them (RFC 3264)."""
