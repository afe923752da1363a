"""What can be laid around any optimizer: averages of the weights, look-ahead, sharpness-aware gradients, …"""
