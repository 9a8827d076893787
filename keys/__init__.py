"""Bytes in, bytes out: sealing, wrapping, and destroying by forgetting a key.

The chain of keys, from the top:

    root          in a keyring of the operator (`root`, `local_keyring`)
     `- KEK       one per tenant and day of expiry, versioned (`kek`), kept in a `key_store`
         `- data key   one per recording, wrapped beside it (`envelope`)
             `- segment key   one per sealed object, derived from its header (`streaming_aead`)
    root
     `- node key  one per recorder, for its journal (`node_key`)
    root
     `- signatory  one per archive, signs what leaves it (`signatory`, in the form of `cms`)

Rules: this package imports none of ours and knows nothing of calls, databases or
S3. A key never stands in a message, a log or a repr. What may be destroyed lives in
the key store alone, so that destroying it there destroys everything beneath it.

Not here: when a key has to go (`retention`), and where objects are put
(`archive.store`). The format of a sealed object is specified in
`docs/archive-format.md`.
"""
