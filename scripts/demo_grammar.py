"""The grammar of the demo corpus: words and templates of its five tasks, all our own.

A template's {slot} stands for one of the words of that name. Every task's grammar makes the same
words mean different things, so that a model has to read the sentence: "turn the hall lamp on",
"is the hall lamp on ?" and "turn the hall lamp on at six" are three intents.
"""

Words = dict[str, tuple[str, ...]]
Grammar = dict[str, tuple[str, ...]]


def words(**lists: str) -> Words:
    """Slot values from comma-separated lists: words(day="monday,friday")."""
    return {slot: tuple(text.split(",")) for slot, text in lists.items()}


# --- home: eight intents of a smart home -------------------------------------------------

HOME_WORDS = words(
    room="kitchen,bedroom,bathroom,hall,office,garage,attic,cellar,nursery,lounge,library,pantry",
    light="lamp,light,spotlight,lantern,chandelier",
    heat="heater,radiator,stove,fireplace",
    device="lamp,light,spotlight,lantern,chandelier,heater,radiator,stove,fireplace",
    onoff="on,off",
    updown="up,down",
    turn="turn,switch",
    bright="brighter,dimmer",
    time="at six,at seven,at noon,at midnight,in ten minutes,in twenty minutes,"
    "after supper,before breakfast",
    somebody="somebody,grandma,the baby,our guest,my brother,the cat",
    courtesy=",,,please,hey house",
)

HOME: Grammar = {
    "lights on": (
        "{turn} the {room} {light} on",
        "{turn} on the {light} in the {room}",
        "it is dark in the {room} , {turn} on the {light}",
        "the {room} {light} is off , {turn} it on",
        "i want the {light} in the {room} to be on",
        "{somebody} sits in the dark {room} , {turn} the {light} on",
    ),
    "lights off": (
        "{turn} the {room} {light} off",
        "{turn} off the {light} in the {room}",
        "nobody is in the {room} , {turn} off the {light}",
        "the {room} {light} is on , {turn} it off",
        "i want the {light} in the {room} to be off",
        "{somebody} sleeps in the {room} , {turn} the {light} off",
    ),
    "lights brighter": (
        "make the {room} {light} brighter",
        "{turn} up the {light} in the {room}",
        "the {light} in the {room} is too weak , {turn} it up",
        "i want the {room} {light} to be brighter",
        "{somebody} reads in the {room} , {turn} the {light} up",
    ),
    "lights dimmer": (
        "make the {room} {light} dimmer",
        "{turn} down the {light} in the {room}",
        "the {light} in the {room} is too strong , {turn} it down",
        "i want the {room} {light} to be dimmer",
        "{somebody} rests in the {room} , {turn} the {light} down",
    ),
    "heat up": (
        "make the {room} warmer with the {heat}",
        "{turn} up the {heat} in the {room}",
        "it is too cold in the {room} , {turn} up the {heat}",
        "the {heat} in the {room} is too weak , {turn} it up",
        "{somebody} freezes in the {room} , {turn} the {heat} up",
    ),
    "heat down": (
        "make the {room} cooler with the {heat}",
        "{turn} down the {heat} in the {room}",
        "it is too hot in the {room} , {turn} down the {heat}",
        "the {heat} in the {room} is too strong , {turn} it down",
        "{somebody} sweats in the {room} , {turn} the {heat} down",
    ),
    "ask state": (
        "is the {room} {device} {onoff} ?",
        "tell me if the {device} in the {room} is {onoff}",
        "did {somebody} {turn} {onoff} the {room} {device} ?",
        "did i {turn} {updown} the {device} in the {room} ?",
        "how strong is the {device} in the {room} ?",
        "did {somebody} make the {room} {light} {bright} ?",
    ),
    "set timer": (
        "{turn} the {room} {device} {onoff} {time}",
        "{time} , {turn} {onoff} the {device} in the {room}",
        "{turn} {updown} the {room} {device} {time}",
        "make the {room} {light} {bright} {time}",
        "i want the {device} in the {room} to be {onoff} {time}",
    ),
}

# --- travel: eight intents at a travel desk ----------------------------------------------

TRAVEL_WORDS = words(
    city="rome,paris,vienna,lisbon,madrid,berlin,athens,dublin,prague,cairo,london,tokyo",
    ride="flight,train,ferry,bus,cruise",
    day="monday,tuesday,wednesday,thursday,friday,saturday,sunday",
    people="my wife,my son,two adults,three friends,four students,our group,five colleagues,"
    "both parents",
    bag="suitcase,backpack,bicycle,guitar,stroller,tent,surfboard",
    hello=",,,good morning,hello,excuse me,dear team",
)

TRAVEL: Grammar = {
    "book ticket": (
        "i would like a {ride} ticket to {city} for {people}",
        "can you get {people} on the {day} {ride} to {city}",
        "we need seats on a {ride} to {city} next {day}",
        "reserve the {ride} from {city} for {people} please",
        "{people} must reach {city} by {ride} next {day}",
        "cancel nothing , just reserve one more {ride} to {city}",
        "take {people} and a {bag} to {city} by {ride}",
    ),
    "book hotel": (
        "i would like a room in {city} for {people}",
        "can you get {people} a hotel near the {city} {ride}",
        "we need a room in {city} from {day} night",
        "reserve a hotel in {city} for {people} please",
        "where can {people} sleep in {city} next {day}",
        "my {ride} to {city} is late , reserve me a room there",
    ),
    "cancel booking": (
        "cancel my {day} {ride} to {city}",
        "can you cancel the {city} hotel for {people}",
        "we do not need the {ride} to {city} any more",
        "{people} can not reach {city} , drop the {ride}",
        "we need no room in {city} from {day} night",
        "i want no refund , just drop the {ride} to {city}",
        "keep the money but cancel the {city} hotel for {people}",
    ),
    "change date": (
        "move my {ride} to {city} to next {day}",
        "can you move the {city} hotel to {day} night",
        "we would rather take the {ride} to {city} on {day}",
        "shift the {city} trip for {people} to {day}",
        "{people} must reach {city} on {day} instead",
        "do not cancel the {city} hotel , shift it to {day}",
    ),
    "ask price": (
        "how much is the {day} {ride} to {city}",
        "what does a room in {city} cost for {people}",
        "is the {ride} to {city} cheaper on {day}",
        "what would {people} pay for the {ride} to {city}",
        "tell me the price of a {city} hotel on {day}",
        "what does it cost to move the {city} {ride} to {day}",
        "what does a {bag} cost on the {ride} to {city}",
    ),
    "ask delay": (
        "how late is the {day} {ride} to {city}",
        "is the {ride} from {city} on time",
        "will {people} have to wait for the {ride} to {city}",
        "when does the late {ride} from {city} arrive",
        "tell me if the {day} {ride} from {city} is late",
        "did the {ride} to {city} leave as planned on {day}",
    ),
    "ask luggage": (
        "how much may i take on the {ride} to {city}",
        "is a {bag} allowed on the {ride} to {city}",
        "can {people} take a {bag} on the {ride} from {city}",
        "where do i leave my {bag} at the {city} hotel",
        "will a {bag} fit on the {day} {ride} to {city}",
        "what may my {bag} weigh on the {city} {ride}",
    ),
    "ask refund": (
        "i want my money back for the {ride} to {city}",
        "can {people} get a refund for the {city} {ride}",
        "the {ride} to {city} was late , please refund {people}",
        "we paid twice for the {city} hotel , return the money",
        "you must refund the {city} hotel for {people}",
        "you had to cancel the {city} {ride} , i want my money",
        "you lost my {bag} in {city} , please pay for it",
    ),
}

# --- sentiment: reviews with negation and contrast ---------------------------------------

DOMAINS = (
    "soup,pizza,dinner,coffee,dessert,bread,salad,breakfast",
    "film,plot,ending,soundtrack,actor,dialogue,comedy,scenery",
    "phone,laptop,camera,screen,battery,keyboard,charger,headset",
    "shop,staff,service,cashier,counter,delivery,parking,website",
    "novel,author,chapter,cover,story,hero,poem,style",
)
# Eleven each: with fifteen, the same small model fell from 100 to 87 % on the negations (seed 0).
GOOD = "good,great,lovely,brilliant,superb,fine,splendid,wonderful,perfect,delightful,fantastic"
BAD = "bad,nasty,terrible,boring,poor,dreadful,horrible,lousy,useless,disappointing,miserable"

SENTIMENT_WORDS = words(
    same=GOOD,
    same2=GOOD,
    opposite=BAD,
    very="very,really,quite,truly,simply",
    friend="critics,neighbours,reviewers,people,everybody",
)

# Written for "positive"; "negative" swaps the two lists of adjectives and the marked verbs.
SENTIMENT = (
    "the {thing} was {very} {same}",
    "the {thing} was {same} and the {other} {same2}",
    "what a {same} {thing} , {very} {same2}",
    "we [loved|hated] this {same} {thing}",
    "i [loved|hated] the {thing} and its {same} {other}",
    "{same} {thing} , i will [gladly|never] come again",
    "not a {opposite} {thing} at all",
    "the {thing} was not {opposite} , and the {other} was not either",
    "nothing about the {thing} was {opposite}",
    "do not believe those who find the {thing} {opposite}",
    "far from {opposite} , this {thing} is {very} {same}",
    "{friend} called the {thing} {opposite} , but it was {same}",
    "i feared a {opposite} {thing} , but got a {same} one",
    "the {other} looked {opposite} , but overall a {very} {same} {thing}",
)

# --- slots: a sentence and a question about it -------------------------------------------

# An answer is copied with its small words ("on friday"). With bare values a random 2 M model
# (4 layers of 192) reached 87 % after 10 epochs, with these 100 % (seed 0, lists of six values).
SLOTS_WORDS = words(
    name="maria,john,anna,peter,lisa",
    start="from oslo,from bergen,from turku,from malmo,from riga",
    goal="to naples,to seville,to porto,to corfu,to malta",
    weekday="on monday,on tuesday,on thursday,on friday,on sunday",
    object="a book,a letter,a violin,a carpet,a kettle",
    place="at the market,at the station,at the museum,at the library,at the harbour",
)

SLOTS_SENTENCES = (
    "{name} flies {start} {goal} {weekday} .",
    "{weekday} {name} left {object} {place} .",
    "{name} sends {object} {start} {goal} .",
    "{place} {name} buys {object} {weekday} .",
)

SLOTS_QUESTIONS: Grammar = {
    "name": ("who ?", "which person ?"),
    "start": ("from where ?", "from which city ?"),
    "goal": ("to where ?", "to which city ?"),
    "weekday": ("when ?", "which day ?"),
    "object": ("what ?", "which object ?"),
    "place": ("where ?", "which place ?"),
}

# --- query: a request turned into a small query ------------------------------------------

QUERY_WORDS = words(
    item="shoes,shirts,coats,hats,belts,scarves,gloves,socks",
    color="red,blue,green,black,white",
    size="small,medium,large,huge",
    fabric="leather,cotton,woollen,silk",
    head="show the,list all,find me some,give me,search for,display any,look up,please fetch",
    whom="for me,for my brother,for a friend,for work,for the winter,for a wedding",
    order="price,date,rating,name",
)

# Two parts to be copied, one to be passed over. With three parts of which the last was translated
# ("newest first": "sort newest") the demo's nano model learnt that one or not, by chance: 44 to 92
# (seed 0).
QUERY = {
    "{item} {whom} in color {color}": "{item} color {color}",
    "{item} in color {color} {whom}": "{item} color {color}",
    "{item} {whom} in size {size}": "{item} size {size}",
    "{item} in size {size} {whom}": "{item} size {size}",
    "{item} {whom} of fabric {fabric}": "{item} fabric {fabric}",
    "{item} of fabric {fabric} {whom}": "{item} fabric {fabric}",
    "{item} {whom} sorted by {order}": "{item} by {order}",
    "{item} sorted by {order} {whom}": "{item} by {order}",
}
