"""How long a student takes on a machine, also one that was never run there.

`timing` times a few students, `model` fits what they took, and says what any other would take.
"""
