"""The record of experiments, in SQLite or PostgreSQL.

database.py opens it, writer.py fills it with exposures off the request's path, outcomes.py adds
what came of them, queries.py and its neighbours read what reports need, retention.py forgets.
"""
