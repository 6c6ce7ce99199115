"""The texts of the demo: the support desk of an imaginary bicycle shop."""

from __future__ import annotations

HANDBOOK = """\
You answer customers of Tailwind Cycles, a bicycle shop and workshop in a small harbour town. Be friendly, be brief,
name prices in euros, and say so when you do not know. Never promise a date that the workshop has not confirmed.

Opening hours. The shop is open Tuesday to Friday from 9:00 to 18:30 and Saturday from 9:00 to 14:00. The workshop
takes bicycles in until one hour before closing. On Mondays and public holidays only the key box at the side door is
emptied.

Services and prices. Small service 69: brakes and gears adjusted, bolts checked, chain oiled, tyres inflated. Large
service 149: small service plus wheels trued, bearings adjusted, chain, cassette and chainrings cleaned and
measured. Electric drive check 39: error memory read, firmware brought up to date, battery capacity measured.
Puncture repair 18 for a front wheel and 24 for a rear wheel, tube included; hub gears and hub motors add 15. Brake
pads 22 a wheel with fitting, hydraulic bleed 35 a brake. New chain 25 plus the part; chain and cassette together 40
plus the parts. Wheel truing 20, broken spoke 26. Bottom bracket 45 plus the part. Headset 30 plus the part. Bar
tape 15 plus the tape. Winter storage 95 for four months including a small service in spring.

Waiting times. Punctures and brake pads are done the same day when the bicycle arrives before noon. A small service
takes three working days from April to August and one working day in the rest of the year. A large service takes
five working days. Drive errors that need the manufacturer can take two weeks; the customer gets a replacement
bicycle after five days.

Warranty and returns. New bicycles carry two years of warranty and a free first service after six weeks or 300
kilometres. Frames carry five years against breaking in normal use. Wear parts are excluded: tyres, tubes, chains,
cassettes, pads, cables, bar tape. Unused goods come back within thirty days with the receipt for a full refund;
clothing with its label. Helmets are exchanged for hygiene reasons only in a closed box. Batteries are returned to
the shop, never by post.

Rental. City bicycle 14 a day, trekking bicycle 19, electric bicycle 34, cargo bicycle 42, child trailer 12, helmet
3. The week costs five days. A deposit of 50, for electric and cargo bicycles 200, is taken by card. Rented bicycles
are insured against theft when both locks are used. A puncture on the way is repaired free of charge in the shop or
by our partners in the three neighbouring towns; their addresses are on the key tag.

Parts kept in stock. Tubes from 12 to 29 inch, both valve types. Tyres 37-622, 40-622, 47-622, 50-584, 25-622 and
28-622. Chains for 8 to 12 gears. Cassettes 11-28, 11-34, 11-42 and 11-50. Rim brake pads, disc pads in six shapes.
Brake fluid and mineral oil; never mix the two. Cables and housing. Pedals flat and clip. Bottles, cages, bells,
mirrors, mudguards, racks, baskets, child seats for racks up to 25 kilograms. Everything else is ordered before
15:00 and arrives in two days.

Sizes and pressures. Body height 155 to 165: frame 48 to 51; 165 to 175: 52 to 55; 175 to 185: 56 to 58; 185 to 195:
59 to 62. Offer a test ride whenever a customer is between two sizes. Tyres of 25 millimetres take 6.5 bar, 28 take
5.5, 37 take 4.5, 47 take 3.5 and 60 take 2.2; subtract 0.3 on gravel and never pass the figure on the side of the
tyre.

Safety. Stem bolts 5 newton metres, seat clamp 6, carbon seat posts with paste and 5, pedals 35, crank bolts 40,
disc bolts 6, axle nuts 35. A bicycle that was in a crash is not ridden before its fork and frame have been looked
at, which is free. Swollen, wet or dropped batteries go outdoors on stone, away from buildings, and the fire brigade
is told.

Service for clubs and firms. Clubs with ten members or more get ten percent off work and parts. Firms that lease
bicycles to their staff send the contract number with the order; the bill goes to the leasing company and the
customer signs only the hand-over sheet. The workshop van comes to firms with eight bicycles or more on Thursdays,
45 for the way, the usual prices for the work. Lost keys for locks of ours are ordered with the key number from the
card; without it the lock is cut open in the shop, against an identity card, for 12.

Complaints. Listen, apologise once, say what happens next and who does it. A refund up to 50 is given on the spot;
above that ask Marta. Write every complaint into the book with the order number, the name and a telephone number.
"""
"""The system prompt: long enough for the provider to cache it."""

FREQUENT_QUESTIONS: tuple[tuple[str, str], ...] = (
    (
        "What does a small service cost?",
        (
            "A small service is 69 euros. We adjust brakes and gears, check every bolt, oil the chain and set the "
            "tyres to the right pressure. Parts come on top only if something is worn, and we call you before we fit "
            "anything."
        ),
    ),
    (
        "Are you open on Saturday?",
        (
            "Yes, on Saturdays from 9:00 to 14:00. The workshop takes bicycles in until 13:00, so come a little "
            "earlier if you would like to leave yours with us."
        ),
    ),
    (
        "How fast can you repair a puncture?",
        (
            "The same day, if the bicycle is here before noon. A front wheel is 18 euros and a rear wheel 24, tube "
            "included. With a hub motor or hub gears it takes us longer and costs 15 euros more."
        ),
    ),
    (
        "Which tyre pressure do I need for 37 millimetre tyres?",
        (
            "Start with 4.5 bar on tarmac and 4.2 on gravel. The figure printed on the side of the tyre is the upper "
            "limit, and a heavier load needs a little more at the rear."
        ),
    ),
    (
        "Can I rent a cargo bicycle for a week?",
        (
            "With pleasure: a cargo bicycle is 42 euros a day, and a week costs five days, so 210 euros. We take a "
            "deposit of 200 euros by card. Both locks come with it, and you will want to use both."
        ),
    ),
    (
        "Is the chain covered by the warranty?",
        (
            "The chain is a wear part, so the warranty does not cover it. A new one is 25 euros for the work plus the"
            " part. If it broke within the first weeks, bring it in and we will look at it together."
        ),
    ),
    (
        "What size of frame fits me at 178 centimetres?",
        (
            "At 178 centimetres most people are happy on a frame from 56 to 58. Arms and legs differ, so please come "
            "by for a test ride of both sizes; it takes a quarter of an hour."
        ),
    ),
    (
        "Can I return a helmet that I have worn?",
        (
            "Helmets can only come back in a closed box, because of hygiene. If yours does not fit, visit us with the"
            " receipt and we will find out what we can do for you."
        ),
    ),
    (
        "Do you store bicycles over the winter?",
        (
            "Yes: 95 euros for four months, dry and insured, with a small service in spring included. Electric "
            "bicycles are welcome too; we keep the battery at half charge in a separate room."
        ),
    ),
    (
        "How long does a large service take?",
        (
            "Five working days, for 149 euros. Wheels are trued, bearings adjusted, and the whole drive is cleaned "
            "and measured, so you know afterwards how far the chain still goes."
        ),
    ),
    (
        "Do you sell tubes for 20 inch wheels?",
        (
            "Yes, tubes from 12 to 29 inch are always here, with both kinds of valve. Bring the old tube along if you"
            " are unsure, or read us the numbers from the side of the tyre."
        ),
    ),
    (
        "My battery fell down the stairs. What now?",
        (
            "Please do not charge it. Put it outdoors on stone, away from the house, and call us at once. If it is "
            "warm, swollen or smells, call the fire brigade first. We collect damaged batteries ourselves."
        ),
    ),
)
"""Questions with their answers, the most frequent first."""

TICKETS: tuple[str, ...] = (
    "Order 4711 came without the mudguards that I paid for. I need them before the rain on Friday.",
    "The brakes of the rental trekking bicycle squeal so loudly that people turn round. Otherwise a lovely day.",
    "I would like a large service in the second week of May, order 4805, and please look at the front light.",
    "You charged me twice for the child seat, order 4790. Please pay one of them back.",
    "The electric drive shows error 503 and stops at the top of every hill. Two visits already!",
    "Thank you for the new saddle, order 4822. Could you send me the receipt once more?",
)

ORDER_QUESTIONS: tuple[str, ...] = (
    "Where is my order {order}, and do you have a child seat in stock?",
    "Is a rain cape in stock? I would add it to order {order}.",
    "What does the handbook say about returns? I would like to send back order {order}.",
    "Order {order} has two dents. Can I have a refund of 30 euros?",
)
"""Questions for the agent, to be filled with an order's number."""

LONG_ORDER_QUESTION = (
    "Order {order} came without its bell. What does the handbook say about returns, is a bell in stock, and can I have a "
    "refund of 24 euros?"
)
"""A question that takes the agent more than one look."""

HANDBOOK_QUESTIONS: tuple[str, ...] = (
    "How long is the warranty on a frame?",
    "What does it cost to rent a cargo bicycle?",
    "May I have my puncture repaired on a Saturday?",
    "What pressure do tyres of 37 millimetres take?",
    "How long does a drive error take that needs the manufacturer?",
)

FAULTS: tuple[str, ...] = (
    (
        "The chain skips in the two smallest gears since the cassette was changed. The cable is new. Find the likely "
        "cause."
    ),
    (
        "After ten kilometres the rear disc rubs, and stops rubbing when the bicycle has cooled. Which part do I "
        "check first?"
    ),
    (
        "The motor cuts out above a pulse of bumps on cobbles, never on a smooth road. What is loose, and how do I "
        "prove it?"
    ),
    "Front wheel shakes hands-off at 25 kilometres an hour, with and without bags. List the causes by likelihood.",
)

PRODUCTS: tuple[str, ...] = (
    "a steel touring bicycle with a dynamo lamp",
    "a bell of brass that rings twice",
    "a rain cape for tall riders",
    "a folding bicycle for the ferry",
    "wool socks with reflecting heels",
    "a trailer for two children and one dog",
)

NEWSLETTER: tuple[str, ...] = (
    "On Sunday we ride to the lighthouse and back, forty kilometres, coffee included.",
    "The workshop is closed for the harbour festival; the key box stays open.",
    "New in the shop: cargo bicycles that fit into a lift.",
    "Spring check: bring your bicycle before Easter and keep the queue short.",
)

STOCK_SENTENCES: tuple[str, ...] = (
    "The short answer is yes, and the workshop can show you how.",
    "First clean the part, then look at it in good light before anything is unscrewed.",
    "Nine times out of ten it is the cable, the hanger or a bolt that has settled.",
    "Write down what you changed, and change one thing at a time.",
    "If the noise follows the pedals it is the drive; if it follows the wheel it is the wheel.",
    "We keep the part in stock, and fitting it takes less than half an hour.",
    "Please do not ride it further than the next train station until we have seen it.",
    "You are welcome to watch, and the coffee in the workshop is free.",
)
"""What the demo's provider says where no written answer fits."""
