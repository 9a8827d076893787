"""How long a recording is kept, and when and how it goes."""
