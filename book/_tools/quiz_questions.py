"""The questions of the page of quizzes, part by part, each wrong answer with the way of thinking that leads there.

A question asks for a number (an exercise of `course_utils.exercises`) or offers choices. Which choice is right is
computed by a function of `quiz_answers`, so a question whose answer changes with new results shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import quiz_answers as answers

from course_utils.exercises import EXERCISES


@dataclass(frozen=True)
class Choice:
    """What a reader may pick: `key` is what the computed answer is compared with, `why` what to tell who picks it."""

    key: str
    text: str
    why: str


@dataclass(frozen=True)
class Question:
    """One question; `page` and `heading` say where its answer is taught."""

    name: str
    page: str
    heading: str
    text: str = ""
    choices: tuple[Choice, ...] = ()
    answer: Callable[[], str] | None = None


def asks(exercise: str, page: str, heading: str) -> Question:
    """A question for the number of an exercise of the package."""
    return Question(exercise, page, heading, EXERCISES[exercise].question)


PARTS: dict[str, tuple[Question, ...]] = {
    "Principles": (
        Question(
            "shuffled pixels",
            "02_from_dense_to_convolution",
            "flattening-throws-the-arrangement-away",
            "All images of a data set get their pixels shuffled, in one fixed order. For which layer are there weights "
            "with which it puts out exactly what it did before?",
            (
                Choice("dense", "a dense layer", "Put its weights into the same order, and every sum is the old one."),
                Choice(
                    "convolution",
                    "a convolution of 3 x 3",
                    "Its nine weights meet pixels that lie side by side, and after the shuffle those are others.",
                ),
                Choice(
                    "both",
                    "both",
                    "A convolution can only be moved along, not be taken apart: each of its windows would have to "
                    "collect pixels from all over the image.",
                ),
                Choice(
                    "neither",
                    "neither",
                    "A weighted sum does not care about the order of its terms, so one of the two does not notice.",
                ),
            ),
            answers.survives_shuffling,
        ),
        asks("output size", "02_from_dense_to_convolution", "the-size-of-the-output"),
        asks("receptive field", "02_from_dense_to_convolution", "what-one-value-sees"),
        Question(
            "shifted image",
            "02_from_dense_to_convolution",
            "shift-the-image",
            "A network has two convolutions, each followed by a pooling of 2 x 2. Its padding continues the image at "
            "the other end. For which of these shifts of the image are the last maps exactly the old ones, moved?",
            (
                Choice("2", "2 pixels", "That is the stride of one pooling. There are two, and they multiply."),
                Choice("3", "3 pixels", "The poolings then keep other values than before."),
                Choice("4", "4 pixels", "The total stride is 2 · 2 = 4, and multiples of it are exact."),
                Choice("6", "6 pixels", "It is a multiple of 2, but the last maps have a stride of 4."),
            ),
            answers.exact_shift,
        ),
        Question(
            "most parameters",
            "03_history",
            "2014-and-2015-four-answers-to-alexnet",
            "Which of these networks has the most parameters?",
            (
                Choice("alexnet", "AlexNet", "61 million, less than half of the largest of the four."),
                Choice("vgg16", "VGG-16", "138 million, 89 % of them in its three dense layers."),
                Choice(
                    "googlenet", "GoogLeNet", "It has the fewest. Its 1 x 1 convolutions and its average save them."
                ),
                Choice(
                    "resnet152",
                    "ResNet-152",
                    "Depth is not what costs parameters: its 152 layers have about as many as AlexNet's eight.",
                ),
            ),
            answers.most_parameters,
        ),
        asks("standard error", "04_data_sets", "how-far-does-chance-move-a-score"),
    ),
    "LeNet": (
        asks("flattened", "07_lenet_in_pytorch", "predict-the-shapes"),
        asks("convolution parameters", "07_lenet_in_pytorch", "predict-the-parameters"),
        asks("lenet in color", "07_lenet_in_pytorch", "predict-the-parameters"),
        asks("multiply-adds", "07_lenet_in_pytorch", "predict-the-receptive-field"),
        asks("four sigmoids", "07_lenet_in_pytorch", "our-loop-and-a-network-that-looks-dead"),
        Question(
            "the 856",
            "06_lenet5_as_published",
            "counting",
            "Without its last layer the textbook's LeNet has 856 parameters more than LeNet-5 as published. In which "
            "layers do the two differ?",
            (
                Choice("none", "in the last layer alone", "That one is left out of the 856 already."),
                Choice("C3", "in C3 alone", "Its table of connections saves 900, which is more than 856."),
                Choice(
                    "S2, C3, S4",
                    "in S2, C3 and S4",
                    "The table saves 900 in C3, and the trained coefficients and biases of S2 and S4 add 44.",
                ),
                Choice("C5", "in the first dense layer", "That has 48,120 parameters in both."),
            ),
            answers.where_the_856_are,
        ),
    ),
    "Ablations": (
        Question(
            "interval",
            "08_how_to_compare",
            "many-settings-holm",
            f"The test accuracy at learning rate 1.7, minus that at 0.9, seed by seed, is "
            f"`{str(answers.difference('1.7', '0.9')).partition(':')[0]}`. Which sentence may you write?",
            (
                Choice(
                    "better",
                    "1.7 is a point better than 0.9",
                    "The interval holds zero: with other seeds the difference may well come out the other way.",
                ),
                Choice(
                    "equal",
                    "the two are equally good",
                    "The interval holds two points as well as zero. Not to see a difference is not to see that there "
                    "is none.",
                ),
                Choice(
                    "not seen",
                    "no difference seen at ten seeds",
                    "The interval holds zero, and ten seeds are all that we have.",
                ),
                Choice(
                    "probable",
                    "1.7 is better with a probability of 95 %",
                    "The 95 % are about how often such intervals hold the true mean, not about which of two rates is "
                    "better.",
                ),
            ),
            answers.what_an_interval_says,
        ),
        Question(
            "pairing",
            "08_how_to_compare",
            "two-settings-pair-by-seed",
            "Learning rates 1.0 and 1.1, ten seeds each, the same in both. How long is the interval of the difference "
            "when it is taken seed by seed, compared with the unpaired one?",
            (
                Choice("a fifth", "about a fifth", "The two share their luck: their correlation is 0.97."),
                Choice("half", "about half", "The correlation of such close neighbors is stronger than that."),
                Choice(
                    "the same",
                    "about the same",
                    "That is so where the arms share nothing. Neighboring learning rates agree on the good moments.",
                ),
                Choice("twice", "about twice", "That needs seeds that are lucky in one arm and unlucky in the other."),
            ),
            answers.what_pairing_brings,
        ),
        Question(
            "beyond 1.4",
            "09_learning_rate",
            "eighteen-learning-rates-ten-seeds",
            "The post says that beyond learning rate 1.4 accuracy falls, by six points on average. We find "
            f"`{answers.verdicts()['lr-falls'].evidence.partition(': ')[2].partition(':')[0]}` for 1.2 to 1.4 minus "
            "1.5 to 1.7. What is the verdict in the ledger of claims?",
            (
                Choice(
                    "reproduced", "reproduced", "For that the interval would have to lie above zero, and it holds zero."
                ),
                Choice(
                    "not reproduced",
                    "not reproduced",
                    "A reported difference of 0.064 would have to show at least half of itself; the interval ends far "
                    "below.",
                ),
                Choice(
                    "undecided",
                    "undecided",
                    "About the sign it is. But the claim has a size, and the interval is too short to hold even half "
                    "of it.",
                ),
            ),
            answers.does_accuracy_fall,
        ),
        Question(
            "two claims about ReLU",
            "12_activation_and_pooling",
            "what-the-post-found",
            "The post says of ReLU after the convolutions, first, that it is better than sigmoid, and second, that it "
            "reaches a test accuracy of 0.884. What do ten seeds say?",
            (
                Choice("both", "both hold", "The second does not: 0.884 is above the best of our ten runs."),
                Choice("first", "the first holds", "Five points better, and no run of ten reaches 0.884."),
                Choice("second", "the second holds", "It is the other way round: the direction holds, not the number."),
                Choice("neither", "neither holds", "The direction does: all of the interval lies above zero."),
            ),
            answers.what_holds_of_relu,
        ),
        Question(
            "best pooling",
            "12_activation_and_pooling",
            "does-it-matter-which",
            "LeNet with sigmoids, learning rate 0.9, ten epochs, ten seeds. Which way to make a map smaller is clearly "
            "ahead of the others?",
            (
                Choice("avg", "average pooling", "Maximum pooling is two points better than the average."),
                Choice("max", "maximum pooling", "It beats the average, and something else beats it."),
                Choice(
                    "stochastic", "stochastic pooling", "For that no difference from the average is seen at ten seeds."
                ),
                Choice(
                    "strided_conv",
                    "a convolution with stride 2",
                    "It learns what the others fix. Why it helps that much we do not know.",
                ),
            ),
            answers.best_pooling,
        ),
        asks("loss floor", "15_failure_clinic", "g-softmax-before-cross-entropy"),
    ),
    "From AlexNet to ResNet": (
        asks("stack of three", "17_vgg", "one-kernel-or-several"),
        Question(
            "out of memory",
            "17_vgg",
            "what-training-has-to-remember",
            "The training of VGG-16 runs out of memory. Which part computes the most values that have to be kept?",
            (
                Choice("block1", "the first block", "Nearly half of all values: its maps have all 224 x 224 places."),
                Choice(
                    "block3",
                    "the middle blocks",
                    "They do most of the arithmetic, on maps with fewer places than the first ones.",
                ),
                Choice("block5", "the last block", "Its maps have 14 x 14 places: few values, many weights."),
                Choice(
                    "fc1",
                    "the first dense layer",
                    "It holds three quarters of the parameters. As values it puts out 4,096.",
                ),
            ),
            answers.where_vgg_keeps_most,
        ),
        Question(
            "shuffled places",
            "18_network_in_network",
            "what-an-average-is",
            "Before the head of a network the 49 places of the last maps are shuffled, in the same way for all "
            "channels. Which head notices: global average pooling, or a dense layer on the flattened maps?",
            (
                Choice("average", "global average pooling", "A mean does not care about the order of its terms."),
                Choice("dense", "the dense layer", "It has a weight of its own for each place; the mean has none."),
                Choice("both", "both", "The mean over the places is the same in any order."),
                Choice("neither", "neither", "A dense layer multiplies each place with another weight."),
            ),
            answers.who_notices_a_shuffle,
        ),
        asks("reduced branch", "19_googlenet_and_batch_normalization", "what-a-1-x-1-convolution-saves"),
        Question(
            "batch of two",
            "19_googlenet_and_batch_normalization",
            "two-images-and-one",
            "Batch normalization in training mode, with γ = 1 and β = 0, gets a batch of two images. A unit has the "
            "values 3 and 11. What comes out?",
            (
                Choice("-4 and 4", "-4 and 4", "That is without the division by the standard deviation, which is 4."),
                Choice("-1 and 1", "-1 and 1", "As for any two values: all that is left is which image had more."),
                Choice("0 and 1", "0 and 1", "That would scale to the range. Here mean 0 and variance 1 are wanted."),
                Choice(
                    "3 and 11",
                    "3 and 11, as γ and β change nothing",
                    "With γ = 1 and β = 0 the normalized values come out, not the ones that went in.",
                ),
            ),
            answers.batch_of_two,
        ),
        Question(
            "winner of 2014",
            "23_full_size",
            "accuracy-with-its-conditions",
            "GoogLeNet won the contest of 2014 and VGG came second. Take one network of each, torchvision's first "
            "weights, one crop, 50,000 validation images. Which is more accurate?",
            (
                Choice(
                    "GoogLeNet", "GoogLeNet", "In the contest seven of them voted on 144 crops. One alone is behind."
                ),
                Choice("VGG-16", "VGG-16", "By nearly a point in top-5 error, at ten times the arithmetic."),
                Choice("neither", "no difference is seen", "It is several standard errors of 50,000 images."),
            ),
            answers.more_accurate_of_two,
        ),
    ),
    "What people and networks look at": (
        Question(
            "blind map",
            "24_image_saliency",
            "the-middle-and-the-score-that-takes-it-away",
            "A map never sees the picture: it is bright in the middle and dark at the rim, always the same. Which "
            "score, averaged over pictures with equally many looks, gives it exactly what a map gets that knows "
            "nothing?",
            (
                Choice("AUC-Judd", "AUC-Judd", "People look at the middle, so this score is well above one half."),
                Choice(
                    "shuffled AUC",
                    "shuffled AUC",
                    "It compares with looks at other pictures. A win one way is a loss the other way: one half.",
                ),
                Choice("NSS", "NSS", "The map is high where people look, so its NSS is above 0."),
            ),
            answers.blind_map_gets_chance,
        ),
        Question(
            "power of a map",
            "24_image_saliency",
            "order-against-height",
            "You raise all values of a map, which lie between 0 and 1, to the power of 8. Which score stays the same?",
            (
                Choice("AUC-Judd", "AUC-Judd", "It asks which of two pixels is higher, and the order is kept."),
                Choice("NSS", "NSS", "Mean and standard deviation change, and the peaks stand out more."),
                Choice("CC", "CC", "A correlation survives a factor and an offset, not a power."),
                Choice("KL", "KL", "It takes the map for a probability. A map that is too sure pays for it."),
            ),
            answers.untouched_by_a_power,
        ),
        Question(
            "parts of a product",
            "25_looking_inside",
            "3-integrated-gradients",
            "A network's score is the product of two pixels. The image has the values 2 and 3, the baseline is black, "
            "0 and 0. What do integrated gradients give to the two pixels?",
            (
                Choice("3 and 3", "3 and 3", "Half of the product each, and together the whole score."),
                Choice(
                    "6 and 6",
                    "6 and 6",
                    "That is the gradient at the image times the image. The parts sum to twice the score.",
                ),
                Choice("3 and 2", "3 and 2", "That is the gradient at the image, not yet multiplied with the way."),
                Choice("2 and 3", "2 and 3", "Those are the pixels. Without either of them the score would be 0."),
            ),
            answers.parts_of_a_product,
        ),
        asks("logit from CAM", "26_cam_and_grad_cam", "cam-the-mean-taken-back"),
        asks("CAM over Grad-CAM", "26_cam_and_grad_cam", "why-they-are-the-same"),
        Question(
            "unread place",
            "26_cam_and_grad_cam",
            "a-network-with-dense-layers",
            "A map has three places with the values 1, 2 and 6. A dense layer reads them with the weights 3, 0 and 0. "
            "Which place does Grad-CAM mark most?",
            (
                Choice(
                    "first",
                    "the first",
                    "It is the only one that counts, and HiResCAM marks it. Grad-CAM averages the gradient first.",
                ),
                Choice("second", "the second", "Its value is smaller than that of the third, and all get one weight."),
                Choice(
                    "third",
                    "the third",
                    "The mean gradient, 1, is applied to all places: 1, 2 and 6. The network does not read the third.",
                ),
                Choice("blank", "none, the map is blank", "It would be if the weights canceled. Their mean here is 1."),
            ),
            answers.brightest_in_grad_cam,
        ),
        Question(
            "brightest place",
            "26_cam_and_grad_cam",
            "scaling-hides-how-much",
            "The logit of a class is negative, but some places speak for the class. Its map is cut at zero and scaled "
            "as in the usual pictures. How bright is its brightest place?",
            (
                Choice("0", "0, as the network says no", "That would be so if no place spoke for the class."),
                Choice("probability", "the class's probability", "The scaling does not know the other classes."),
                Choice("1", "1, like that of any class", "Each map is scaled by itself, so a picture hides how much."),
            ),
            answers.brightest_place,
        ),
        Question(
            "forgotten output",
            "27_do_the_maps_tell_the_truth",
            "check-1-forget-the-weights",
            "The output layer of resnet-fashion gets random weights. Whose maps stay most like those of before?",
            (
                Choice("cam", "CAM's", "CAM takes its weights from that very layer. Its maps change a lot."),
                Choice(
                    "guided_backprop",
                    "guided backprop's",
                    "They hardly change, so they were hardly about the class that they were asked for.",
                ),
                Choice("occlusion", "occlusion's", "It asks the network itself, and that now answers something else."),
            ),
            answers.least_changed_by_a_random_output,
        ),
        Question(
            "shirts without the mark",
            "28_diagnosis",
            "planting-the-cheat",
            "In training, 95 of 100 shirts had a white mark in the corner. On test images marked in the same way the "
            "networks name 94 of 100 shirts. The mark is taken away. How many are left?",
            (
                Choice("over 80", "more than 80", "Then the mark would have been an aid. It was all they had learned."),
                Choice(
                    "near 50",
                    "about 50",
                    "So many are named by networks that never saw a mark. These had no need to learn what a shirt is.",
                ),
                Choice("under 5", "fewer than 5", "One, on average: what was learned was the mark."),
            ),
            answers.shirts_without_the_mark,
        ),
        Question(
            "what is cut away",
            "29_your_own_picture",
            "the-middle-square",
            "A picture is 640 pixels wide and 480 high. It is shrunk until the shorter side has 256 pixels, and "
            "of that the middle 224 x 224 are cut out. Which share of the picture does the network see?",
            (
                Choice("100 %", "100 %", "It would if the picture were squeezed into a square. It is cut."),
                Choice("77 %", "77 %", "That holds for a square picture: 224² of 256². This one is wider than high."),
                Choice("75 %", "75 %", "That is the middle square, 480 of 640. A margin is cut off on all sides, too."),
                Choice("57 %", "57 %", "Three quarters for the square, and 224² of 256² of those. The rim is lost."),
            ),
            answers.share_of_the_picture,
        ),
    ),
}
