"""A page about a calibration: `page` says it, `chart` draws it."""
