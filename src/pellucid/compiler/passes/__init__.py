"""A recorded graph comes in; a graph leaves that computes the same with less. Each pass is a function of a graph, in a
file of its own; `order` runs them all.

A graph that has been through here is for computing only: what it recorded of gradients and of looks at values stays
with the graph that the user sees.
"""
