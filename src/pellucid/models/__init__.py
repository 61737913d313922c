"""Whole networks, by the names they are known by, and what goes with them."""

from pellucid.models.alexnet import AlexNet, AlexNetTwoGroups, alexnet
from pellucid.models.autoencoder import Autoencoder, ConvAutoencoder
from pellucid.models.char_lstm import CharLSTM
from pellucid.models.densenet import DenseNet, densenet121
from pellucid.models.efficientnet import EfficientNet, efficientnet_b0
from pellucid.models.generation import generate
from pellucid.models.gpt import GPT
from pellucid.models.language import NextTokenLoss
from pellucid.models.lenet import LeNet5
from pellucid.models.mobilenet_v1 import MobileNetV1, mobilenet_v1
from pellucid.models.mobilenet_v2 import MobileNetV2, mobilenet_v2
from pellucid.models.mobilenet_v3 import MobileNetV3, mobilenet_v3_small
from pellucid.models.resnet import (
    BasicBlock,
    Bottleneck,
    CifarResNet,
    PaddedShortcut,
    ResNet,
    resnet18,
    resnet20,
    resnet34,
    resnet50,
)
from pellucid.models.small_cnn import SmallCNN
from pellucid.models.spoken_digits import SpokenWordCNN, SpokenWordGRU
from pellucid.models.squeezenet import Fire, SqueezeNet, squeezenet1_0
from pellucid.models.vgg import VGG, vgg11, vgg16
from pellucid.models.vit import VisionTransformer, vit_b_16

__all__ = [
    "GPT",
    "VGG",
    "AlexNet",
    "AlexNetTwoGroups",
    "Autoencoder",
    "BasicBlock",
    "Bottleneck",
    "CharLSTM",
    "CifarResNet",
    "ConvAutoencoder",
    "DenseNet",
    "EfficientNet",
    "Fire",
    "LeNet5",
    "MobileNetV1",
    "MobileNetV2",
    "MobileNetV3",
    "NextTokenLoss",
    "PaddedShortcut",
    "ResNet",
    "SmallCNN",
    "SpokenWordCNN",
    "SpokenWordGRU",
    "SqueezeNet",
    "VisionTransformer",
    "alexnet",
    "densenet121",
    "efficientnet_b0",
    "generate",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "squeezenet1_0",
    "vgg11",
    "vgg16",
    "vit_b_16",
]
