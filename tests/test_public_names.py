"""The list of public names. A name that is added, removed or renamed is a change for users, and is made here too."""

import importlib
import inspect

import pytest

PUBLIC = {
    "pellucid": """
        Generator GradientCheck Tensor UniqueAll UniqueCounts UniqueInverse abs acos acosh add all allclose any
        arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh autograd bernoulli bitwise_and
        bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor bool broadcast_arrays
        broadcast_shapes broadcast_to can_cast cast ceil celu check_gradients clip compile compiler concat
        concatenate contract copysign cos cosh cost count_nonzero cumprod cumsum cumulative_prod cumulative_sum data
        default_dtype diagonal diff divide doctor dot e einsum elu empty empty_like enable_grad equal erf errors
        evaluate exp exp2 expand_dims explain expm1 eye finfo
        fit fit_many flatten flip float32 float64 floor floor_divide fold
        from_dlpack full full_like gather gelu get_num_threads glu graph greater greater_equal hardshrink
        hardsigmoid hardswish hardtanh hypot iinfo inf inspection int16 int32 int64 int8 integers is_grad_enabled
        isclose isdtype isfinite isinf isnan language leaky_relu less less_equal linspace load log log10 log1p log2
        log_sigmoid log_softmax logaddexp logical_and logical_not logical_or logical_xor logsumexp manual_seed
        matmul matrix_transpose max maximum mean meshgrid min minimum mish models moveaxis multiply multiply_add nan
        negative newaxis nextafter nn no_grad nonzero norm normal not_equal one_hot ones ones_like ops optim outer
        pad permutation permute permute_dims pi positive pow power predict prelu prod reciprocal relu relu6
        remainder repeat reshape result_type roll round rrelu save scatter_add searchsorted seed selu
        set_default_dtype set_language set_num_threads sigmoid sign signbit silu sin sinh softmax softmin softplus
        softshrink softsign sort split split_key sqrt square squeeze stack std subtract sum swapaxes take
        take_along_axis tan tanh tanhshrink tensor tensordot threshold tile topk trace train transpose tril triu
        trunc uint16 uint32 uint64 uint8 uniform unique_all unique_counts unique_inverse unique_values unsqueeze
        unstack var vecdot where zeros zeros_like
        attention_rollout features grad_cam gradient_times_input integrated_gradients layerwise_relevance
        maximize_activation occlusion saliency shapley_values smooth_grad
        curvature gradient_noise landscape learning_rate_test lab
    """,
    "pellucid.autograd": """
        backward grad hessian hvp jacobian per_sample_gradients vjp
    """,
    "pellucid.compiler": """
        Compiled clear_cache compile get_num_threads set_num_threads
    """,
    "pellucid.data": """
        augment
        Dataset Loader MinMax Scaler Standardize as_dataset blobs circles curve digits encode_labels fashion_mnist
        idx_folder k_fold mnist npz npz_splits read_idx spirals train_test_split two_moons write_idx xor
        Recordings audio_folder read_wav spoken_digits write_wav
        BytePairTokenizer CharTokenizer TextBlocks read_text split_tokens text_windows tiny_shakespeare tokenizer_from
    """,
    "pellucid.data.augment": """
        Cutout RandomCrop RandomHorizontalFlip RandomShift Transform augmented
    """,
    "pellucid.errors": """
        ArgumentError ArgumentTypeError DTypeError DataError DownloadError FileAccessError FileFormatError
        GradientError GraphError IndexRangeError LabelError MissingDependencyError MissingFileError MissingKeyError
        ModelError NoAttributeError NonFiniteError OutOfMemoryError PellucidError PellucidWarning RecordingError
        ShapeError user_frame warn
    """,
    "pellucid.graph": """
        Batch Captured Expectation Graph Instruction Ran Read Scope Value bind generalize record record_batched
        replay run verify
    """,
    "pellucid.inspection": """
        Audit CostReport Difference LayerCost LayerTime Machine Measured Timing Work cost
        Chain Contribution Explanation LayerExplanation Mismatch Note Step Update UpdateLine Verification explain
        Curvature Density Eigenvalues GradientNoise Landscape LayerCurvature LayerNoise LearningRateTest NoiseScale
        Sharpness Trace curvature gradient_noise hessian_density hessian_eigenvalues hessian_trace landscape
        learning_rate_test sharpness
        Attribution MaximalInput attention_rollout features grad_cam gradient_times_input integrated_gradients
        layerwise_relevance maximize_activation occlusion saliency shapley_values smooth_grad
        Diagnosis Effect EpochHealth GradientsCompared HealthMonitor HealthReport LayerHealth Remedy RowsFitted doctor
        ActivationCurve DecisionSurface DenseLayer Histogram LayerSignals ReceptiveField Signals Wiring
        activation_curves decision_surface receptive_field signals used_activations wiring
    """,
    "pellucid.lab": """
        EXPERIMENTS Experiment Finding Measurement find run
    """,
    "pellucid.models": """
        CharLSTM GPT NextTokenLoss SpokenWordCNN SpokenWordGRU generate
        AlexNet AlexNetTwoGroups Autoencoder BasicBlock Bottleneck CifarResNet ConvAutoencoder DenseNet EfficientNet
        Fire LeNet5 MobileNetV1 MobileNetV2 MobileNetV3 PaddedShortcut ResNet SqueezeNet VGG VisionTransformer alexnet
        densenet121 efficientnet_b0 mobilenet_v1 mobilenet_v2 mobilenet_v3_small resnet18 resnet20 resnet34 resnet50
        squeezenet1_0 vgg11 vgg16 vit_b_16 SmallCNN
    """,
    "pellucid.nn": """
        Activation AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveLogSoftmaxWithLoss
        AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d AlphaDropout AvgPool1d AvgPool2d AvgPool3d BCELoss
        BCEWithLogitsLoss BatchNorm1d BatchNorm2d BatchNorm3d Bilinear CELU CircularPad1d CircularPad2d
        CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d
        ConvTranspose3d CosineEmbeddingLoss CrossEntropyLoss DepthwiseSeparableConv2d Dropout ELU Embedding Flatten
        FocalLoss Fold GELU GLU GRU GRUCell GaussianNLLLoss GroupNorm Hardshrink Hardsigmoid Hardswish Hardtanh
        HingeEmbeddingLoss HuberLoss Identity InstanceNorm1d InstanceNorm2d InstanceNorm3d KLDivLoss L1Loss LPPool1d
        LPPool2d LPPool3d LSTM LSTMCell LayerNorm LeakyReLU LearnedPositionalEncoding Linear LinearCrossEntropyLoss
        LocalResponseNorm LogSigmoid LogSoftmax Loss MSELoss MarginRankingLoss MaxPool1d MaxPool2d MaxPool3d
        MaxUnpool1d MaxUnpool2d MaxUnpool3d Mish Module ModuleDict ModuleList MultiLabelMarginLoss
        MultiLabelSoftMarginLoss MultiMarginLoss MultiheadAttention NLLLoss PReLU Parallel Parameter PixelShuffle
        PixelUnshuffle PoissonNLLLoss QuantileLoss RMSNorm RNN RNNCell RReLU ReLU ReLU6 ReflectionPad1d
        ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d Residual RotaryEmbedding
        SELU Sequential SiLU Sigmoid SinusoidalPositionalEncoding SmoothL1Loss SoftMarginLoss Softmax Softmin
        Softplus Softshrink Softsign StartFinding Tanh Tanhshrink Threshold Transformer TransformerDecoder
        TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer TripletMarginLoss
        TripletMarginWithDistanceLoss Unflatten Unfold Upsample ZeroPad1d ZeroPad2d ZeroPad3d attention_maps
        check_initialization functional init losses parametrizations parametrize
        LogMelSpectrogram MFCC MelSpectrogram Spectrogram
        SqueezeExcitation StochasticDepth
    """,
    "pellucid.nn.functional": """
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
        adaptive_max_pool3d alpha_dropout avg_pool1d avg_pool2d avg_pool3d batch_norm bilinear binary_cross_entropy
        binary_cross_entropy_with_logits celu conv1d conv2d conv3d conv_transpose1d conv_transpose2d
        conv_transpose3d cosine_embedding_loss cross_entropy dropout elu embedding focal_loss fold gaussian_nll_loss
        gelu glu group_norm hardshrink hardsigmoid hardswish hardtanh hinge_embedding_loss huber_loss instance_norm
        interpolate kl_div l1_loss layer_norm leaky_relu linear linear_cross_entropy local_response_norm log_softmax
        logsigmoid lp_pool1d lp_pool2d lp_pool3d margin_ranking_loss max_pool1d max_pool2d max_pool3d max_unpool1d
        max_unpool2d max_unpool3d mish mse_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss
        nll_loss normalize one_hot pad pairwise_distance pixel_shuffle pixel_unshuffle poisson_nll_loss prelu
        quantile_loss relu relu6 rms_norm rotary rrelu scaled_dot_product_attention selu sigmoid silu smooth_l1_loss
        soft_margin_loss softmax softmin softplus softshrink softsign tanh tanhshrink threshold triplet_margin_loss
        triplet_margin_with_distance_loss unfold
        create_dct mel_frequencies melscale_fbanks power_to_db spectrogram
        stochastic_depth
    """,
    "pellucid.nn.parametrizations": """
        spectral_norm weight_norm
    """,
    "pellucid.nn.parametrize": """
        Parametrized is_parametrized register_parametrization remove_parametrizations
    """,
    "pellucid.nn.init": """
        calculate_fan_in_and_fan_out calculate_gain constant_ dirac_ eye_ kaiming_normal_ kaiming_uniform_ normal_
        ones_ orthogonal_ sparse_ trunc_normal_ uniform_ xavier_normal_ xavier_uniform_ zeros_
    """,
    "pellucid.ops": """
        UniqueAll UniqueCounts UniqueInverse abs acos acosh add all allclose any arange argmax argmin argsort
        asarray asin asinh astype atan atan2 atanh bernoulli bitwise_and bitwise_invert bitwise_left_shift
        bitwise_or bitwise_right_shift bitwise_xor broadcast_arrays broadcast_shapes broadcast_to can_cast cast ceil
        celu clip concat concatenate contract copysign cos cosh count_nonzero cumprod cumsum cumulative_prod
        cumulative_sum diagonal diff divide dot einsum elu empty empty_like equal erf exp exp2 expand_dims expm1 eye
        finfo flatten flip floor floor_divide from_dlpack full full_like gather gelu glu greater greater_equal
        hardshrink hardsigmoid hardswish hardtanh hypot iinfo integers isclose isdtype isfinite isinf isnan
        leaky_relu less less_equal linspace log log10 log1p log2 log_sigmoid log_softmax logaddexp logical_and
        logical_not logical_or logical_xor logsumexp matmul matrix_transpose max maximum mean meshgrid min minimum
        mish moveaxis multiply multiply_add negative nextafter nonzero norm normal not_equal one_hot ones ones_like
        outer pad permutation permute permute_dims positive pow power prelu prod reciprocal relu relu6 remainder
        repeat reshape result_type roll round rrelu scatter_add searchsorted selu sigmoid sign signbit silu sin sinh
        softmax softmin softplus softshrink softsign sort split sqrt square squeeze stack std subtract sum swapaxes
        take take_along_axis tan tanh tanhshrink tensor tensordot threshold tile topk trace transpose tril triu
        trunc uniform unique_all unique_counts unique_inverse unique_values unsqueeze unstack var vecdot where zeros
        zeros_like
    """,
    "pellucid.ops.declare": """
        NONE composite contraction elementwise movement reduction
    """,
    "pellucid.optim": """
        Adadelta Adagrad Adam AdamW Adamax ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts
        CyclicLR ExponentialLR LBFGS LRScheduler LambdaLR LinearLR Lion MultiStepLR MultiplicativeLR NAdam
        OneCycleLR Optimizer PolynomialLR RAdam RMSprop ReduceLROnPlateau SGD SequentialLR StepLR clip_grad_norm_
        clip_grad_value_ lr_scheduler schedules
    """,
    "pellucid.optim.lr_scheduler": """
        ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LRScheduler
        LambdaLR LinearLR MultiStepLR MultiplicativeLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR
    """,
    "pellucid.train": """
        Callback Dependence EarlyStopping Finding History JSONLogger LOSSES LambdaCallback METRICS Metric
        ModelCheckpoint OPTIMIZERS Run SCHEDULES accuracy auc confusion_matrix evaluate examine f1 fit fit_many
        label_dependence load load_weights mae make_loss make_optimizer make_schedule mse precision predict
        predicted_labels r2 recall rmse save top_k_accuracy
    """,
}


def public_names(module_name: str) -> set[str]:
    """What a module offers: `__all__`; else what it defines; for the root, all but rooms that are not for users."""
    module = importlib.import_module(module_name)
    if hasattr(module, "__all__"):
        return set(module.__all__)
    names = {name for name in dir(module) if not name.startswith("_")}
    if module_name == "pellucid":
        return {name for name in names if not inspect.ismodule(getattr(module, name)) or f"pellucid.{name}" in PUBLIC}
    return {name for name in names if getattr(getattr(module, name), "__module__", None) == module_name}


@pytest.mark.parametrize("module_name", PUBLIC)
def test_public_names(module_name: str) -> None:
    assert sorted(public_names(module_name)) == sorted(PUBLIC[module_name].split())


@pytest.mark.parametrize("module_name", PUBLIC)
def test_every_public_function_and_class_says_what_it_does(module_name: str) -> None:
    module = importlib.import_module(module_name)
    objects = {name: getattr(module, name) for name in PUBLIC[module_name].split()}
    silent = [name for name, value in objects.items() if callable(value) and not (inspect.getdoc(value) or "").strip()]
    assert silent == []
