"""Run networks by name: a manifest that vouches for the files, one module a backend, a factory.

Knows model specs and arrays; knows no stage. Heavy libraries are imported inside their backend.
"""
