"""The tables of UOIS-SAM (arXiv 2409.15481), run again: resumable, with every prediction and every frame kept."""
