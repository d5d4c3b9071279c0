# expect: ungradable no-model
# note: There is no module in the file.
import torch


def accuracy(output, target):
    return (output.argmax(1) == target).float().mean()
