"""The record of experiments, in SQLite or PostgreSQL.

database.py opens it, writer.py fills it with exposures off the request's path, outcomes.py adds
what came of them, observations.py, comparison.py and traffic.py read what reports need,
retention.py deletes what is too old.
"""
