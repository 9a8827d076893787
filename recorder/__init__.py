"""The session recording server: SIP and SIPREC in, RTP captured, recordings handed to the archive."""
