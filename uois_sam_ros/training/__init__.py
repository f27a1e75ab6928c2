"""Training of the compact model: base (encoder, HPG, decoder), iou, hdnet, then export."""
