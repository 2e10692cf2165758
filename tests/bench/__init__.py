"""The tools behind ``make bench``: a mock upstream, bare relays, a load generator, and the run that joins them."""
