"""One file a peer: the simplest honest thing that does part of the same job. No import of the product."""
