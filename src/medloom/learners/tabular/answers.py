"""Labels as numbers, and scores as answers: as all learners take them, under the name tabular ones know."""

from medloom.training.answers import Floats as Floats
from medloom.training.answers import answer_scale as answer_scale
from medloom.training.answers import answers_of as answers_of
from medloom.training.answers import labels_as_numbers as labels_as_numbers
from medloom.training.answers import loss as loss
from medloom.training.answers import score_scale as score_scale
from medloom.training.answers import scores_of as scores_of
