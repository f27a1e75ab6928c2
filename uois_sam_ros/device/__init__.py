"""The pipeline on a GPU: every stage one torch module with fixed sizes, from the uploaded frame to the label image.

The numpy stages of the package are the reference; each module here is tested equal to the one it stands for.
"""
