"""Load tests of servers that classify texts, over HTTP.

Knows nothing of what serves: models, kernels and server are not imported. Traffic is made in
`traffic`, sent and received in `client`, summed up in `results`, shown by `report`.
"""
