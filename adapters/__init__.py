"""Everything that touches a foreign system. One folder an adapter; `sdk` is what they share, for third parties too."""
