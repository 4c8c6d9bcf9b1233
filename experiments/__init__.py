"""A/B experiments: what is declared, who gets which variant, what the numbers say.

`loader` reads a declaration, `parsing` makes a plan of it, `apply` takes the step from one plan to
the next, `assignment` says who gets what, `runtime` is all of it in a running server, `analysis`
makes a report of what the `store` has kept, by the `statistics`.
"""
