"""Evidence: recordings as a package that others can check without us.

`bag` lays files down with their hashes, `seal` signs and time-stamps them,
`verification` checks a package, and `verify.sh` does the same with `sh`, `find`,
`sort`, `sha256sum` and `openssl` alone. `package` says what is in one.
"""
