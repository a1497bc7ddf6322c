"""What goes over the wire: the JSON request and the answers, as the OpenAPI page shows them."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

WireBox = Annotated[
    list[int],
    Field(
        min_length=4, max_length=4, description="Left, top, right, bottom in pixels; exclusive at the end."
    ),
]


class JsonRequest(BaseModel):
    """One or more images in JSON."""

    model_config = ConfigDict(extra="forbid")

    images: list[str] = Field(
        min_length=1,
        description="Each a whole image file in base64; a data URL ('data:image/png;base64,...') is taken too.",
    )
    boxes: list[WireBox | None] | None = Field(
        default=None, description="The face in each image, or null for the whole image; as many as images."
    )


class ModelReference(BaseModel):
    """Which model answered."""

    name: str
    version: str
    labels: list[str]


class Prediction(BaseModel):
    """The answer for one image."""

    label: str = Field(description="The most probable class.")
    probability: float = Field(description="Of that class, 0 to 1.")
    probabilities: dict[str, float] = Field(description="Of every class; they sum to 1.")


class PredictResponse(BaseModel):
    """The answers in the order of the images."""

    model: ModelReference
    predictions: list[Prediction]
    timing_ms: dict[str, float] = Field(description="Milliseconds spent decoding and predicting.")


class Health(BaseModel):
    """Alive, or ready."""

    status: str


class ModelDescription(BaseModel):
    """What the registry says about the model that answers."""

    name: str
    version: str
    labels: list[str]
    input_shape: list[int] = Field(description="Height, width, channels of the model's input.")
    engine: str
    created: str | None = None
    metrics: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    card: str = Field(default="", description="The model card, in Markdown.")


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="For programs, such as 'too_many_pixels'.")
    message: str = Field(description="For people: one sentence.")


class ErrorResponse(BaseModel):
    """The shape of every refusal."""

    error: ErrorBody
