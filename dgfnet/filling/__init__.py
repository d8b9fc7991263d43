"""From any picture and any mask to its fill, which `dgfnet.inpainting` offers: crops, scales, seam, patches."""
