"""Files of texts in, files of decisions out: over all cores, without a server."""
