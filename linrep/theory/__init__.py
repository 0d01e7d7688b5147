"""The quantities that the theorems speak of, computed from (graph, F, G).

One module for each chapter of the theory. A function states the equation or theorem that it computes, the shapes, what
it assumes, and what it refuses. Nothing here trains the language model's loss or draws: see `linrep.train` and
`linrep.figures`.
"""
