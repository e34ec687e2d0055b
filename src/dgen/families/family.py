"""What a row of the table of model families says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dgen.families.distilled import Distilled
from dgen.values.control_modes import Modes
from dgen.values.step_cache import BLOCK_CACHE, CROSS_ATTENTION, STEP_CACHE

TXT2IMG, IMG2IMG, INPAINT = PICTURE_MODES = ("txt2img", "img2img", "inpaint")
TXT2VID, IMG2VID, VID2VID = VIDEO_MODES = ("txt2vid", "img2vid", "vid2vid")
MODES = (*PICTURE_MODES, *VIDEO_MODES)
SIGNED = ("num_inference_steps", "guidance_scale", "strength")
"""What the documentation of a pipeline gives beside it: the values in its signature."""

CONTROLNET, CONTROLNET_UNION, T2I_ADAPTER = "controlnet", "controlnet-union", "t2i-adapter"
DETAILING = "detailing"  # the ability of families that paint parts of a picture again
WEIGHING = "weighing"  # that of families with text encoders for which the words of a prompt can weigh
HI_DIFFUSION = "hi-diffusion"  # what `capabilities` of families with a UNet like that of the paper say
FLOYD = "floyd"  # what an image seed with the picture of a first stage makes of a pipeline,
LAST_FRAME = "last-frame"  # and what one with a last frame makes of it
MIXING = "mixing"
"""The capability of pipelines that give the VAE pictures in a precision of their own choice."""

PAG = "pag"  # alone, or with one of those: `controlnet+pag`

UNET_CACHES = (STEP_CACHE, CROSS_ATTENTION)
TRANSFORMER_CACHES = (STEP_CACHE, BLOCK_CACHE)
"""What families have for step caches, by what denoises."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """A model family: what its pipelines are called and what their signatures do not say; each row is itself alone."""

    name: str
    label: str
    pipelines: Mapping[str, str]  # mode -> class of diffusers
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """The pipelines of the same model with something attached: what it is -> mode -> class of diffusers."""
    package: str = ""  # the folder under diffusers/pipelines in which the classes stand
    aliases: tuple[str, ...] = ()
    multiple_of: int = 8  # width and height divide by it, in pixels
    default_size: int = 512  # pixels each way, when the model itself does not say
    has_own_cells: bool = False  # whether what its denoisers call `sample_size` is no number of latent cells
    default_height: int | None = None  # pixels, where that is another
    accelerated_dtype: str = "float16"  # what `--dtype auto` means off the CPU
    checkpoint_keys: tuple[str, ...] = ()
    """How tensors begin that a checkpoint file of this family holds, after `model.diffusion_model.` where that is."""

    denoiser_keys: tuple[str, ...] = ()
    """The same of a file with nothing but its UNet or transformer, in the names of diffusers."""

    checkpoint_inputs: tuple[int, ...] = ()  # the input channels of its denoiser there, where they tell it from others
    sight: str = ""
    """Whether its denoiser is given `more` of each cell than it gives, `less` or the `same`, where that tells it."""

    like: str = ""  # the family whose tensors it can have as well
    named: tuple[str, ...] = ()
    """Words in the names of its models that tell it from others with the same tensors: in lower case, joined by `-`."""

    single_file: bool = False  # whether checkpoint files can be loaded
    also: tuple[str, ...] = ()  # further classes a model's index may name
    modular: Mapping[str, str] = field(default_factory=dict[str, str])
    """Modular pipelines of diffusers whose models it runs -> the ordinary pipeline that stands for each."""

    modular_says: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Modular pipelines -> what the index of an ordinary model says for them."""

    modular_settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings of the transformers of its modular models, where those of several families name the same pipeline."""

    made: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict[str, tuple[str, Mapping[str, Any]]])
    """Parts that modular models need not bring -> their class in diffusers, and its settings."""

    denoiser_channels: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    """The input channels of a denoiser that a mode can run: an inpainting UNet has 9 and draws nothing else."""

    text_layers: Mapping[str, int] = field(default_factory=dict[str, int])
    """CLIP text encoders -> how many of their last layers the pipelines leave out; of 0 the last norm follows."""
    last_norm: bool = True  # whether that norm does follow
    tells_padding: bool = False  # whether CLIP text encoders are told what of a text is padding, and do not read it
    pooled_texts: tuple[str, ...] = ()  # CLIP text encoders of which the summary of a text is used too
    whole_text: str = ""  # the T5 text encoder whose states follow those of CLIP, or stand alone
    dispensable: tuple[str, ...] = ()  # text encoders that its pipelines can do without
    capabilities: tuple[str, ...] = ()  # what options ask for that no signature says
    mixes: tuple[str, ...] = ()  # loaders of diffusers that its pipelines go with, whether they have them or not
    lacks: tuple[str, ...] = ()  # fields of options that the bases of its pipelines promise, and that do not work
    adds: tuple[str, ...] = ()  # and those that `prepares` takes for them, though no signature has them
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of options -> their values when nobody says one, where those differ from what other families have."""

    started: Mapping[str, Any] = field(default_factory=dict[str, Any])  # the same, for pipelines that take a strength
    distilled: tuple[Distilled, ...] = ()  # what tells its distilled models, the most particular first
    as_signed: tuple[str, ...] = ()
    """Fields of options whose values, when nobody says one, are those of the signature of the pipeline."""

    keywords: Mapping[str, str] = field(default_factory=dict[str, str])
    """Fields of options, or `image` -> what its pipelines call them, where those have a name of their own for it."""

    call: Mapping[str, Any] = field(default_factory=dict[str, Any])  # keywords of every call that does not say them
    shows: str = ""
    """The function `module:name` that gets a pipeline and its output, and returns the pictures in it, where those are
    not its `images`."""

    prepares: str = ""
    """The function `module:name` that gets a pipeline, a job and keywords, and returns those of the call."""

    draws: Mapping[str, Callable[[int, int], tuple[int, int]]] = field(
        default_factory=dict[str, Callable[[int, int], tuple[int, int]]]
    )
    """Modes whose pipelines choose the size -> what they draw for a wanted width and height, in pixels."""

    gathers: bool = False
    """Whether img2img looks at all pictures of `images:` together, and makes one of them, not one of each."""

    packs: bool = True
    """Whether its pipelines make several pictures at once as they make each alone, with a weight for each."""

    singly: tuple[str, ...] = ()
    """Modes whose pipelines make one picture a call, or fail with several: those of a batch come one after another."""

    repeats: tuple[str, ...] = ()  # modes whose pipelines want picture and prompt once for each picture of a batch
    enlarges: int = 1  # how many times wider and higher than the image seed the picture is
    resizes: bool = False  # whether pictures come to the model's own size by their shorter side, when nobody says one
    decoder: str = ""  # the pipeline that draws what the others only think of,
    decoder_model: str = ""  # and its model when nobody names one
    lender: str = ""  # the model that lends the parts below to one without them, when nobody names another,
    lenders: tuple[str, ...] = ()  # and the classes of such models
    lent: Mapping[str, tuple[str, str, str]] = field(default_factory=dict[str, tuple[str, str, str]])
    """Parts that another model may lend -> their folder there, their library and their class."""

    controlnet: str = "ControlNetModel"  # the class of its ControlNets
    wants: tuple[str, ...] = ()  # parts that its pipelines can do without, and that a model brings to be used
    built_on: tuple[str, ...] = ()  # families whose models it can use as well, when its name is said
    joins: Mapping[str, str] = field(default_factory=dict[str, str])
    """Parts that are put into another part once, and not used by themselves -> that part."""

    frame_group: int = 1  # its videos have so many frames, or a multiple of that,
    frame_rest: int = 0  # and so many more,
    frame_least: int = 1  # and at least so many,
    frame_most: int = 0  # and, unless this is 0, at most so many
    rate: float | None = None  # the only number of frames a second that they have
    tiles: bool = False  # whether its VAE works in tiles alone
    one_size: bool = False  # whether a model makes nothing but its own size
    group_frames: int = 1  # how many frames each of those stands for that its models name
    fills: bool = False  # whether a video starts from one of which frames, and parts of frames, are to be made
    references: str = ""  # the keyword for pictures of what the video is to show, which stand as `adapter=` in a seed
    most_references: int = 0  # how many of them there may be; 0: any number
    referring: Mapping[str, str] = field(default_factory=dict[str, str])
    """Parts that stand in for others where there are such pictures -> those; a first frame goes without them then."""

    follows: str = ""  # the keyword for a video after which a picture moves, which stands as `control=` in its seed
    parted: bool = False  # whether a video is made and decoded part after part, the last one longer than was asked
    continues: bool = False  # whether a video goes on where its source ends, instead of showing it anew
    ends: str = ""  # the keyword for a picture that the video ends with
    ends_seen: tuple[str, str] | None = None
    """Settings of a denoiser: one that has the first needs a last frame when it has the second, and else takes none."""

    told: str = ""
    """The function `module:name` that gets a job and its pictures, and returns keywords that tell a pipeline of frames,
    for those pipelines that take `conditions`."""

    untold: str = ""  # a setting of the schedulers of those models that can be told of no frames but the first
    sounds: bool = False  # whether its videos have sound
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    """Modes whose pipelines need a package beyond diffusers' own -> that package, which `dgen-lang[video]` brings."""

    union_modes: Modes = field(default_factory=dict[str, int])  # what union ControlNets know; none without them
    steps_preset: str = ""  # what the names of its "Align Your Steps" schedules in diffusers start with

    def can(self, capability: str) -> bool:
        """Whether its pipelines have what an option asks for."""
        if capability == DETAILING:
            return INPAINT in self.pipelines and not self.makes_video and FLOYD not in self.capabilities
        if capability == WEIGHING:
            return bool(self.text_layers or self.whole_text)
        return capability in self.capabilities

    @property
    def makes_video(self) -> bool:
        """Whether its jobs make videos."""
        return any(mode in VIDEO_MODES for mode in self.pipelines)

    @property
    def usual_size(self) -> tuple[int, int]:
        """Width and height in pixels when the model itself does not say them."""
        return (self.default_size, self.default_height or self.default_size)

    @property
    def pipeline(self) -> str:
        """The class that a model of the family names when nothing else is known."""
        return next(iter(self.pipelines.values()))

    def keyword(self, option: str, usual: str) -> str:
        """Return the keyword by which its pipelines take an option."""
        return self.keywords.get(option, usual)

    @property
    def classes(self) -> tuple[str, ...]:
        """Every pipeline class that means this family."""
        attached = (name for variant in self.variants.values() for name in variant.values())
        own = (self.decoder,) if self.decoder else ()
        return (*self.pipelines.values(), *attached, *own, *self.also)
