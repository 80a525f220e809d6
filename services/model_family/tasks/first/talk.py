"""Greetings, thanks, who the model is, and what it can do."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.wording import command, question, remark, typed
from services.model_family.tasks.words import NAMES

HELLO = "Hello! How can I help you?"
NAMED_HELLO = "Hello, {}! How can I help you?"
FINE = "I am fine, thank you. And you?"
WELCOME = "You are welcome!"
GOODBYE = "Goodbye! See you soon."
WHO = "I am Rill, a small language model."
NOT_OTHER = "No, I am Rill, a small language model."
NO_HUMAN = "No, I am a language model."
ABILITY = "I can calculate, sort lists, read short texts and write small Python functions."
JOKE = "Why was six afraid? Because seven ate nine."
SORRY = "I am sorry to hear that. I hope you feel better soon."
GLAD = "I am glad to hear that!"

SALUTE = (
    "[hi|hello|hey|hiya|heya|howdy|yo|hallo|hullo|greetings|helo|hii|hiii|helloo|heyy|hey hey|hi hi|"
    "hello hello|good morning|good afternoon|good evening|good day|morning|evening|afternoon|"
    "[a very|a] good [morning|evening|day] to you|top of the morning|salutations|hi again|hello again|"
    "well hello|oh hi|oh hello|hey hello|good to see you|nice to meet you|pleased to meet you]"
)
ADDRESSEE = (
    "[|||| there| there| rill| friend| my friend| buddy| mate| pal| everyone| all| bot| robot| computer|"
    " assistant| ai| machine| dear| model| sir| chatbot| you| folks| little model| world| my dear|"
    " to you| to you too| from here]"
)
AFTER_HELLO = (
    "[|||||, nice to meet you|, good to see you|, anyone there|, are you there|, is anybody [home|there]|, you there|"
    ", can you hear me|, are you online|, is this working|, does this work|, it's a nice day|, i'm new here|"
    ", i am back|, let's start|, let's talk|, let's chat|, first time here|, glad to be here|, can we talk|"
    ", just saying hello|, just wanted to say hi|, just testing|, happy monday|, lovely weather]"
)
GREETINGS = (
    f"{SALUTE}{ADDRESSEE}{AFTER_HELLO}",
    f"{SALUTE}{ADDRESSEE}",
    f"{SALUTE}{ADDRESSEE}",
    "[anyone there|are you there|is anybody there|anybody home|you there|knock knock|can you hear me|is this thing on]",
    "[just|] [testing|a test|saying hi|saying hello|dropping by to say hi]", "test", "[is this|does this] work[ing|]",
    "[say|saying] [hi|hello]", "[i want to|i just wanted to|wanted to|i'd like to] [say|wish you] [hello|hi|a good day|good morning]",
    "[let's|can we|shall we] [start|begin|talk|chat|have a chat]", "wake up", "[have|wishing you] a [nice|good|great] [day|morning]",
)  # fmt: skip
NAMED_GREETINGS = (
    f"{SALUTE}[| there| rill][,|.|!|] [i am|i'm|im|my name is|my name's|this is|it's|it is|call me|you can call me|they call me|the name's|the name is|me is] {{name}}",
    f"{SALUTE}[| there| rill][,|.|!|] {{name}} [here|speaking|is my name|is here|writing]",
    f"[i am|i'm|im|my name is|my name's|this is|it's|call me|you can call me] {{name}}[|, nice to meet you|, pleased to meet you|, hi|, hello| and i'm new here|, who wants to say hello]",
    "{name} here[|, hello|, hi there|, good morning]", f"{SALUTE} from {{name}}",
)  # fmt: skip
OTHER_NAMES = (
    "Maria", "John", "Peter", "Lucy", "Ahmed", "Priya", "Chen", "Lars", "Sofia", "Liam", "Olivia", "Ethan",
    "Julia", "Marco", "Fatima", "Ali", "Ingrid", "Pedro", "Carla", "George", "Alice", "Bob", "Charlie",
    "Diana", "Eva", "Frank", "Henry", "Isla", "James", "Karl", "Laura", "Mark", "Natalie", "Oscar", "Petra",
    "Quinn", "Robert", "Sarah", "Thomas", "Ursula", "Victor", "Wendy", "Xavier", "Yara", "Zack", "Amir",
    "Bella", "Carlos", "Dora", "Elias", "Fiona", "Gita", "Hannah", "Ian", "Jenny", "Kim", "Linda", "Mike",
    "Dr. Brown", "Mr. Smith", "grandpa", "a student", "your new user", "the boss", "a teacher", "Daniel",
    "Alex", "Chris", "Steve", "Susan", "Nick", "Jo", "Sandra", "Ravi", "Mei", "Hans", "Pierre", "Ivan",
)  # fmt: skip
FEELINGS = (
    "how are you[| doing| feeling| today| doing today| this morning| tonight| these days| these evening]",
    "how [do|are] you [feel|feeling][| today|  right now]", "how [is it|'s it|are things|is everything] going[| today| there]",
    "hows it going", "how r u", "how have you been", "how [was|is] your [day|week|morning|weekend][| so far]", "how do you do",
    "[are you|r u|you] [well|ok|okay|alright|good|fine|happy][| today]", "how are [things|you all]", "how you doing[| buddy]",
    "[everything|all] [ok|good|fine|well|alright][| with you| there]", "[what's|whats] [up|new|going on]", "sup", "how's life[| treating you]",
    "[hi|hello|hey|good morning|good evening|yo][| there| rill|, friend][,|!|.] how [are you|are you doing|is it going|are things|do you feel|is your day|have you been][| today]",
    "i hope you are [well|fine|doing well|good]", "are you having a [good|nice] day", "did you sleep well",
)  # fmt: skip
THANKS = (
    "[thanks|thank you|thx|ty|many thanks|thank u|thank you very much|thanks a lot|thank you so much|thanks so much|thanks a bunch|thanks a million|cheers|much appreciated|i appreciate it|thanks again]"
    "[| rill| friend| buddy| mate|, that helped|, that was helpful|, you are great| for your help| for the help| for that| for everything|, very kind|, good job|, well done|, nice|, bye for the moment|, perfect]",
    "[great|perfect|awesome|good|ok|cool|nice|wonderful|that was helpful|that helped|super|excellent|very kind][,|!] [thanks|thank you|thx|cheers|thank you very much]",
    "[i|i really] [am grateful|want to thank you|thank you|appreciate your help|appreciate it]", "[you are|you're] [very|so] [helpful|kind|nice][|, thanks|, thank you]",
    "[good job|well done|good bot|nice work|good work]",
)  # fmt: skip
FAREWELLS = (
    "[bye|goodbye|good bye|bye bye|see you|see ya|see you [later|soon|tomorrow]|cya|later|farewell|good night|so long|take care|ciao|catch you later|talk to you later|until [tomorrow|next time]|night]"
    "[| rill| then| for now| friend| buddy| mate| everyone| my friend|, have a nice day|, take care|, and thanks|, i have to go]",
    "[i have to go|i must go|gotta go|i am leaving|i'm off|i need to go|time to go|i'm going to bed|i'm done][| now| for today|, bye|, see you|, goodbye|, good night]",
    "[that's all|that is all|that was all|we're done][| for today| for now][|, bye|, goodbye]", "[have|enjoy] a [good|nice|great] [evening|night|weekend|one], bye",
    "[ok|okay|alright|thanks|well][,|] [bye|goodbye|see you|good night|bye bye|see you later]",
)  # fmt: skip
IDENTITY = (
    "[who|what] are you[| really| exactly| actually| then| anyway]", "[who|what] [r u|are u|is this|are you called|exactly are you]",
    "[what is|what's|whats] your [name|full name|first name|real name][| again| by the way]", "[do|did] you have a name", "your name",
    "what [should|can|may|do|shall] i call you", "how [should|can|do] i [call|address] you", "how are you called", "have you got a name",
    "[who|what] am i [talking|speaking|chatting|writing|typing] [to|with][| here| right now]", "[who|what] is [this|there|speaking|answering|talking|answering me|behind this]",
    "what [model|ai|bot|assistant|chatbot|language model|kind of model|sort of ai|kind of assistant|type of ai|system|software|program|kind of thing] [are you|is this|am i using|do i talk to|runs here|answers me]",
    "which [model|ai|bot|assistant|language model|llm|version] [are you|is this|am i using|am i talking to|answers here]",
    "[are you|r u|so you are|you are] [an ai|a bot|a robot|a language model|a chatbot|a computer|a program|an assistant|a machine|artificial|a large language model|an llm|some kind of robot|a computer program|intelligent|a neural network|an artificial intelligence|rill]",
    "[is this|am i talking to|am i chatting with|do i talk to|is there] [an ai|a bot|a robot|a language model|a chatbot|a computer|a machine|a program|rill]",
    "[who|which company|what company|which people] [made|created|trained|built|developed|wrote|programmed|designed|invented|owns] you", "who [is|are] your [maker|creator|developer|author|parents|owner|boss]",
    "[where|what] do you come from", "[what is|what's] your [identity|model name|version|job title|purpose in life|origin|story]", "how [big|large|small|smart] are you", "how many parameters do you have",
    "tell me [who you are|your name|what you are|something about you|something about yourself|about you]", "who might you be", "what kind of [creature|being|entity] are you",
    "[what does|what's the meaning of] [rill|your name][| mean]", "who is rill", "what is rill", "[with|to] whom am i [speaking|talking|chatting]", "describe yourself[| in one sentence| briefly| in a few words]",
    "[who|what] [is|stands|sits] [behind|in] this [chat|window|program|screen|page]", "and [your name is|you are|who are you|what are you called]", "what exactly is this [assistant|thing|chat|service|bot]", "[you're|you are|so you're] [rill|an assistant|a program|a language model|an ai|a computer], right", "may i [know|ask] [your name|who you are|who this is]", "can [you|u] [tell|say] [who|what] you are", "identify yourself", "[hi|hello|hey][,|!] [who are you|what are you|what's your name|who is this]",
)  # fmt: skip
IDENTITY_COMMANDS = (
    "introduce yourself[| briefly| to me| in one sentence| in a sentence]", "tell me [about yourself|who you are|your name|a bit about yourself|what you are|something about yourself]", "describe yourself[| in one sentence]",
    "[present|identify|explain] yourself", "say [your name|who you are|what you are]", "give me your name", "state your name", "say something about yourself",
)  # fmt: skip
OTHERS = (
    "chatgpt", "ChatGPT", "gpt", "gpt-4", "GPT", "gemini", "claude", "siri", "alexa", "llama", "a gpt", "google", "bard", "copilot", "mistral", "qwen", "deepseek",
    "cortana", "from openai", "from google", "made by openai", "made by google", "openai", "a big model", "a search engine", "grok", "a large model from the cloud",
)  # fmt: skip
NOT_OTHERS = (
    "[are you|r u|so are you|are you perhaps|you are|is your name|you're] {other}[| or what| then| too| really| or something else|, right]",
    "[is this|am i talking to|am i chatting with|am i using|do i talk to|isn't this|aren't you] {other}", "do you [use|run|work with] {other}",
)  # fmt: skip
HUMANS = (
    "are you [a|really a|actually a|a real|perhaps a] [human|person|human being|man|woman|real person|guy|girl|boy|living being|living thing]", "are you [human|real|alive|conscious|sentient|a person or a machine|a human or a machine|a human or a bot|human or ai|human or robot|man or machine|male or female|a boy or a girl]",
    "[is this|am i talking to|am i chatting with|do i talk to|is there|am i speaking with] a [human|person|real person|human being|real human|live person|man]", "[do|can] you [have feelings|feel pain|have a body|have emotions|feel|think like a human|have a family|have friends|have parents|eat|sleep|dream]",
)  # fmt: skip
ABILITIES = (
    "what [can|could|do] you do[| for me| for us| here| exactly| all day| besides talking| well| best]", "what [are|r] you [able to do|capable of|good at|best at|good for|for|made for|here for|useful for|there for|trained for|trained on|built for]",
    "how [can|could|do|will|would|might] you [help|assist|support|serve|be of use to|be useful to] [me|us|people]", "what [can|may|should|could|do|shall] i ask[| you| you about| here| first]", "what [can|could|should] i [use you for|do with you|do here|try|try first|type|say|type here|expect from you|do with this]",
    "[what are|what're|list|name|show] your [skills|abilities|features|capabilities|functions|strengths|talents|powers|options|limits|tasks|services]", "what [things|tasks|jobs|problems|stuff] can you [do|solve|handle|help with|help me with|perform|take on|deal with]",
    "what [do|does] [you|this|this thing|this model|this bot] [know|do|understand|offer|know about]", "[what is|what's] [this|this thing|this model|this bot|rill|it] [for|good for|used for|able to do|good at|about]", "what [kind|kinds|sort|sorts|types] of [questions|tasks|things|problems|stuff|help] [can you answer|can you do|can i ask|do you handle|can you handle|are you good at|do you understand|may i ask|do you offer]",
    "[can|could|will|would] you [help|assist|support] [me|us][| with something| with my homework| with my work| a bit| today| with anything| out]", "how [do|can|should|would] i [use|work with|make use of|get started with|talk to|get the most out of] [you|this|it|this thing]", "i need [help|some help|your help|assistance|a hand|some assistance|a bit of help]",
    "[help|help me|help please|please help|help!]", "what topics [do you know|can you talk about|do you cover|are you good at]", "[which|what] [subjects|areas|fields|things] [do you know|are you good at|do you cover|can you do]", "[do you have|are there] [any|some|special] [skills|talents|abilities|features]",
    "[suggest|propose] [something|something to ask|a question|what i can ask]", "[i don't know|i dont know|no idea|i have no idea] what to [ask|ask you|say|type|write|do with you][|, suggest something|, help me|, what can you do]", "do you know how to do [anything|something|anything useful|things]", "[are you|will you be] [of use|useful|helpful|any good|good at anything]", "what are [the|some] [things|tasks] you [can do|could do|do|know how to do]", "where do we start", "what is possible with you", "what would you suggest i ask", "[why|when] [should|would] i [use|ask] you", "[where|with what] [can|could|will] you [help|assist|be useful|support me]", "[what is|what's] your [purpose|job|function|role|task|use|speciality|specialty|strong side|mission|expertise]", "[what else|and what] can you do", "[hi|hello|hey][,|!] [what can you do|how can you help me|what are you good at|can you help me|what do you do]",
    "[can you|are you able to|do you know how to] [calculate|sort|do math|do maths|do sums|write code|write python|program|sort lists|count|read|read texts|add numbers|do arithmetic|multiply|code|write functions]", "[anything|something] [useful|interesting] you can do", "what's possible here", "what would you be able to do for me",
    "[give me|tell me|show me] [some examples|an example|examples] of what you [can do|know|are good at]", "menu", "what now", "[what|how] [do we|can we] do [here|now]",
)  # fmt: skip
ABILITY_COMMANDS = (
    "tell me what you [can do|can do for me|are good at|are able to do|know|are capable of|do]", "[show|tell] me [what you can do|what you can|how you can help|your skills|your abilities|your features|what i can ask]", "list [your|all your] [skills|abilities|features|capabilities|functions|commands]", "explain [what you can do|what you do|how to use you|how you can help|your purpose|your abilities]",
    "describe [what you can do|your abilities|your skills|your capabilities]", "[help|assist|support] me[| with something| with my homework]", "name [your skills|your abilities|the things you can do|some things you can do|what you are good at]", "say what you can do",
)  # fmt: skip
JOKES = (
    "[tell|give] me a[| good| short| funny| quick] joke", "make me [laugh|smile]", "say something funny", "[do you know|know|got|have you got|have you] [a|any] [good |funny |][joke|jokes]", "a joke", "joke", "i want [to hear|] a joke", "can you [be funny|tell jokes|joke]", "cheer me up with a joke",
)  # fmt: skip
SAD = (
    "i am [sad|ill|sick|tired|unhappy|lonely|down|not well|in a bad mood|depressed|bored|worried|angry|upset]", "i'm [sad|ill|sick|tired|unhappy|lonely|down|not well|bored|worried|upset]", "i feel [bad|sad|ill|terrible|awful|down|lonely|tired|sick|unhappy][| today]", "[today was a bad day|my day was bad|i had a bad day|nobody likes me|my cat died|i lost my job|i failed my exam]",
)  # fmt: skip
HAPPY = (
    "i am [happy|glad|fine|well|good|great|in a good mood|excited|fine too|doing well]", "i'm [happy|glad|fine|well|good|great|excited|fine too|good too|doing great]", "i feel [great|good|fine|happy|wonderful|well][| today]", "[today was a good day|my day was great|i passed my exam|i got a new job|i won|life is good|i love you|i like you]",
)  # fmt: skip


def first_greeting(rng: Random) -> DrawnQuestion:
    draw = rng.random()
    if draw < 0.35:
        return DrawnQuestion(prompt=remark(rng, GREETINGS), answer=HELLO)
    if draw < 0.5:
        name = rng.choice(NAMES)
        prompt = remark(rng, NAMED_GREETINGS, name=typed(rng, name))
        return DrawnQuestion(prompt=prompt, answer=NAMED_HELLO.format(name))
    if draw < 0.6:
        prompt = remark(rng, NAMED_GREETINGS, name=typed(rng, rng.choice(OTHER_NAMES)))
        return DrawnQuestion(prompt=prompt, answer=HELLO)
    if draw < 0.75:
        return DrawnQuestion(prompt=question(rng, FEELINGS), answer=FINE)
    forms, answer = rng.choice(
        ((THANKS, WELCOME), (THANKS, WELCOME), (FAREWELLS, GOODBYE), (FAREWELLS, GOODBYE),
         (JOKES, JOKE), (SAD, SORRY), (HAPPY, GLAD))
    )  # fmt: skip
    return DrawnQuestion(prompt=remark(rng, forms), answer=answer)


def first_identity(rng: Random) -> DrawnQuestion:
    draw = rng.random()
    if draw < 0.6:
        return DrawnQuestion(prompt=question(rng, IDENTITY), answer=WHO)
    if draw < 0.7:
        return DrawnQuestion(prompt=command(rng, IDENTITY_COMMANDS), answer=WHO)
    if draw < 0.85:
        prompt = question(rng, NOT_OTHERS, other=rng.choice(OTHERS))
        return DrawnQuestion(prompt=prompt, answer=NOT_OTHER)
    return DrawnQuestion(prompt=question(rng, HUMANS), answer=NO_HUMAN)


def first_ability(rng: Random) -> DrawnQuestion:
    if rng.random() < 0.8:
        return DrawnQuestion(prompt=question(rng, ABILITIES), answer=ABILITY)
    return DrawnQuestion(prompt=command(rng, ABILITY_COMMANDS), answer=ABILITY)


TASKS = tuple(
    Task(name=draw.__name__, domain="dialogue", draw=draw, summary=summary, plain=True)
    for draw, summary in (
        (first_greeting, "greetings, thanks and farewells in any words"),
        (first_identity, "who the model is, in any words"),
        (first_ability, "what the model can do, in any words"),
    )
)
