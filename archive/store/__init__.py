"""The object store: sealed bytes in, sealed bytes out, by version, under a lock.

Only this package speaks S3. It knows nothing of keys, tenants or recordings: what
it stores was sealed before it came here.
"""
