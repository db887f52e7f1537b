"""Common words that give nobody away: what residual risk does not count as an unknown name.

English in base forms (the reader strips endings), the days, months and nationalities, common acronyms, and the German
and French words that often stand capitalised. No names of people, streets or small places, on purpose; and no list of a
language: a word missing here costs a review, a name slipped in here costs somebody's privacy.
"""

from __future__ import annotations

WORDS = frozenset(
    """
a aber abfahrt ablauf able abläufe about above absence absolute abstract abteilung accelerate accelerator accept
acceptable acceptance access accessible accident accommodate accompany according account accountability accountant
accounting accuracy accurate achieve achievement acid acknowledge acknowledgement acquaint acquire acquisition across
act action active activity actor actual acute ad adapt adaptation add addition additional additionally address adequate
adhere adhesive adjust adjustment admin administer administration administrative admission admit adopt adoption adult
advance advantage adventure advert advertise advertisement advertising advice advise adviser advisor advocate aerospace
affair affect afford africa african after afternoon afterwards again against age agency agenda agent aggregate
aggressive agile agility ago agree agreement ahead ai aid aim air airline airport alarm album alcohol alert align
alignment all alle allergic allergy alles allocate allocation allow allowance alloy ally almost alone along already als
also alter alternative although altogether aluminium aluminum always am amazing amazon ambiguity ambiguous ambition
ambitious ambulance amend amendment america american among amount ampere an anaesthesia analogy analyse analysis
analyst analytical analytics analyze anatomy ancient and android anemia anfrage anfragen angebot angebote anger angle
animal ankunft anlage anmeldung announce announcement annual anonymous another answer antibiotic antibody anticipate
antwort anwendung anwendungen anxiety any anybody anyone anything anyway anywhere août apart apartment api apologise
apologize apology app apparent appeal appear appearance appendix apple application apply appoint appointment appraisal
appreciate approach appropriate approval approve approximate apps apr april après arab arabic arbeit arbeiten architect
architecture archive are area argentinian argue argument arise arm army around arrange arrangement arrest arrival
arrive art article artificial artist arzt as asap asia asian aside aspect aspirin assemble assembly assess assessment
asset assign assignment assist assistance assistant associate association assume assuming assumption assurance assure
asthma at atlantic atm atmosphere attach attachment attack attempt attend attendance attention attitude attorney
attract attraction attractive attribute auch audience audio audit auditor auf aufgabe aufnahme auftrag aufträge aufwand
aug august aunt aus ausbildung australia australian austria austrian authentic author authorise authority authorize
automate automatic automation automatisierung automotive autumn außerdem availability available avant avec average avez
avoid avoir avons avril award aware awareness away awful axis axle azure b2b b2c baby back background backlog backup
bad bag bahn bahnhof bakery balance balanced ball ban band bandage bank banking bar barcode bare barrier base baseline
basic basically basis basket batch bath battery battle bayesian bcc be beach bear bearing beat beautiful beauty became
because become bed bedienung bedroom been beer before beforehand befund beg began begin beginner beginning behandlung
behave behavior behaviour behind bei beim being beispiel belgian belgium belief believe bell belong below belt bench
benchmark beneath benefit bericht berichte beschreibe beside besides best bestellung bestellungen besuch besucher bet
betrieb betriebe better between beverage bewertung beyond bi bias bic bid big bigger biggest bike bildung billion bin
bind biology biopsy bird birth birthday bis bit bite bitte black bladder blade blame blank bleeding blend bless blind
block blog blood blow blue bluetooth blut bmi board boat body boil bold bolt bond bone bonjour bonsoir bonus book
booking boost booth border boring born borrow boss bot both bother bottle bottleneck bottom bounce bound bowl box boy
brain brainstorm brake branch branche brand branding brave brazil brazilian bread break breakdown breakfast
breakthrough breast breath breathe breed brexit brick bridge brief briefly bright bring britain british broad broken
brot brother brown browse browser brush bucket buddhist budget buffer bug build building bulgarian bulk bullet bundle
burden bureau burger burn bus business busy but button buy buyer by byte büro cabin cable cad cafe cagr cake calculate
calculation calendar calibrate calibration call calm came camera camp campaign campus can canada canadian cancel cancer
candidate cannot cap capability capable capacity capex capital captain capture car carbon card cardiac cardiology care
career careful cargo carpet carrier carry cart case cash cast casting cat catalog catalogue catch category catholic
cause caution cautious cc ce celebrate cell celsius center centimeter central centre century ceo ceramic certain
certainly certificate certification ces cest cet cette cfo chain chair chairman challenge champion chance chancen
change channel chapter character characteristic charge charity chart chat chatgpt cheap check checklist checkout cheers
cheese chef chemical chemistry cheque cher chest chez chicken chief child children china chinese chip chocolate choice
cholesterol choose christian christmas chrome chronic church chère cinema cio circle circuit circulate circumstance
cite citizen city civil claim clamp clarify clarity class classic classification classify clause clean clear clearly
client climate climb clinic clinical clinician clock clone close cloth clothes cloud club cluster cnc co2 coach coal
coast coat coating code coding coffee cohort cola cold collaborate collaboration colleague colleagues collect
collection college color colour column combination combine combo come comedy comfort comfortable command comment
commerce commercial commission commit commitment committee commodity common communicate communication community commute
company comparable compare comparez comparing comparison compatible compensate compensation compete competence
competition competitive competitor compile complain complaint complete completion complex complexity compliance
compliant complicated component compose composition compound comprehensive compress compression compressor comprise
compromise computer computing concentrate concept conception concern concerning concise conclude conclusion concrete
condition conduct conference confidence confident confidential confidentiality configuration configure confirm conflict
confuse confusion congratulations congress connect connection connectivity conscious consensus consent consequence
consequently conservation conservative consider considerable consideration considering consist consistency consistent
consolidate constant constraint construct construction consult consultant consultation consume consumer consumption
contact contain container contemporary content contest context continent continue continuity continuous contract
contractor contrast contribute contribution control controller convenience convenient convention conventional
conversation conversely conversion convert conveyor convince coo cook cookie cool cooling cooperate cooperation
coordinate coordination coordinator cope copper copy cordialement core corn corner coronary corporate corporation
correct correction correlation correspond cosmetic cost costly cotton cough could council counsel count counter country
county couple coupon courage course court cousin cover coverage covid cow cpu craft crash crazy cream create creation
creative creativity creator credential credibility credit creditor crew crime criminal crisis criteria criterion
critical criticism critique crm crop cross crowd crucial cruise cry cso csr ct cto cultural culture cup cure currency
current currently curriculum curve custom customer customise customize cut cutting cv cyber cycle cylinder czech dad
daher daily damage danach dance danger dangerous danish danke dann dans darf dark das dashboard dass data database date
datei dateien daten datenschutz daughter davor day de dead deadline deal dealer dear death debate debt dec decade
december decide decision deck declare decline decrease dedicated deep default defect defence defend defense deficit
define definite definitely definition degree dein deine delay delegate delete deliver deliverable delivery dem demand
demo democracy democratic demographic demonstrate demonstration den denmark denn dennoch dental dentist deny department
departure depend dependence dependency dependent depending deploy deployment deposit depression depth depuis der derive
dermatology des describe description desert deserve deshalb design designer desire desired desk despite destination
destroy detail detailed detect detection determine deutsch deutsche deutschen deutschland develop developer development
deviation device dezember diabetes diagnose diagnosis diagnostic diagram dialogue dialysis diary dich did die dienstag
diese diesel diesem diesen dieser dieses diet differ difference different differentiate differentiation difficult
difficulty digit digital digitalisierung dilemma dimanche dimension dinner dir direct direction director directory
disability disadvantage disagree disappear disaster discharge discipline disclose disclosure discount discover
discovery discuss discussion disease dish dismiss disorder display dispute disrupt disruption distance distinct
distinction distinguish distribute distribution distributor district diverse diversification diversify diversity divide
dividend division diy dna do docker doctor document documentation does dog doing doit dollar domain domestic dominant
donate donation donc done donne donnerstag donnez door dort dosage dose dosis double doubt down download downtime dozen
draft drafting drag drama dramatic draw drawback drawing dream dress drill drilling drink drive driver drop druck drug
dry du due duration durch during dust dutch duty dynamic décembre dürfen each eager ear early earn earnings earth ease
easier easily east easter eastern easy eat ecg echo ecology ecommerce economic economical economics economist economy
ecosystem edge edi edit edition editor educate education educational eeg effect effective effectiveness efficiency
efficient effort eg egg egyptian ehr eight eighteen eighth eighty ein eine einem einen einer eines einführung einsatz
either elaborate elderly elect election electric electrical electricity electronic electronics element elevate eleven
eligibility eligible eliminate elite elle elles else elsewhere eltern email embed embrace emea emerge emergency
emerging emission emotion emotional empfehlung emphasis emphasise emphasize empire empirical employ employee employer
employment empower empty emr enable encounter encourage end endpoint enemy energie energy enforce enforcement engage
engagement engine engineer engineering england englisch english enhance enhancement enjoy enormous enough ensure
ensuring enter enterprise entertainment enthusiasm entire entitle entity entlassung entrance entre entrepreneur entry
entscheidung entscheidungen entwicklung entwurf environment environmental envision episode eps equal equality equation
equip equipment equity er era erfolg ergebnis ergebnisse erkläre erp error erstelle es escalate escalation escape esg
especially espresso essay essen essence essential est establish establishment estate estimate et etc ethernet ethic
ethical ethics ethnic eu euch eur euro europa europe european evaluate evaluating evaluation even evening event
eventual eventually ever every everybody everyone everything everywhere evidence evident evil evolution evolve exact
exam examination examine example exceed excel excellence excellent except exception excess excessive exchange excite
exciting exclude exclusive execute execution executive exercise exhibit exhibition exist existence exit expand
expansion expect expectation expenditure expense expensive experience experiment expert expertise expire expiry explain
explanation explicit explique expliquez exploration explore export expose exposure express expression extend extension
extensive extent external extra extract extreme extrusion eye fabric face facebook facilitate facility fact factor
factory faculty fahrenheit fahrkarte fail failure fair fairly faithfully fall false familiar familie family famous fan
fantasy faq far farm farmer fashion fasse fast fastener fat fatal father fault faut favor favorite favour favourite fda
fear feasibility feasible feature feb februar february federal fee feed feedback feel feeling fehler fellow female
fever few fiber fibre fiction fieber field fifteen fifth fifty fight figure file fill film filter final finalise
finalize finally finance financial finanzierung find finding fine finger finish finland finnish fire firefox firm firma
first firstly fish fit fitness five fix fixed flag flame flange flat fleet flexibility flexible flight float flood
floor flow flower flughafen fluid fly focus folder folge folgen folk follow following food foot football footnote for
force forecast foreign forest forever forget forging fork form formal format formation former formula formulate
forschung forth fortunately fortune forty forum forward foster found foundation founder foundry four fourteen fourth
fraction fracture frage frame framework franc france franchise frankly frankreich französisch français française frau
fraud frauen free freedom freeze freight freitag french frequency frequent fresh freundliche freundlichen fri friday
friend friendly friendship fries from front frozen fruit frustration fte fuel fulfil fulfill full fully fun function
functional fund fundamental funding funny furnace furniture further furthermore fuse future fwd fyi février führung für
gain gallery game gantt gap garden gas gasket gast gate gather gauge gaussian gave gb gdp gdpr gear gearbox geehrte
geehrter gegen geld gender general generally generate generation generator generic generous genetic gentle genuine
geographic geography geriatric german germany gerät geräte geschichte gesellschaft gesetz gesetze gestern gesture
gesundheit get getränk getränke gewinn ghz giant gib gift gigabyte girl git github give given gives glad glance glass
global glucose gmbh gmo gmt go goal god goes going gold golden golf gone good goods google got govern governance
government governor gps gpu grab grade gradual graduate grain gram grand grandfather grandmother granted graph graphic
grass grateful great greece greek green greet greeting greetings grey grinder grinding grocery gross ground group grow
growth grund gründe grüße grüßen guarantee guard guess guest guidance guide guideline guilty guitar gun gute guten gym
gynecology gäste haben habit had hair half hall halle hallo hand handbook handle handover hang happen happy harbour
hard hardware harm has hat hate hatte hatten haus have having hazard he head header heading headline headquarters heal
health healthcare healthy hear hearing heart heat heating heavy hebrew height hello help helpful hence her here hero
herr hers herself hertz herz hesitate heute hey hi hide hier hierarchy high highlight highly highway hilfe hill him
himself hindu hinge hint hinweis hinweise hip hipaa hire his historian historic historical history hit hiv hmi hobby
hold holder hole holiday home honest honey honor honour hope hopefully horizon hormone horror horse hospital
hospitality host hot hotel hour house household housing how however hr html http https huge human humor humour hundred
hungarian hungry hunt hurt husband hvac hybrid hydraulic hygiene hypertension hypothesis i iban ibm icd ice ich icon
icu id idea ideal idee ideen identical identification identify identity idle ids ie if ignore ihm ihn ihnen ihr ihre
ihrem ihren ihrer il ill illegal illness illustrate illustration ils im image imagination imagine immediate immediately
immune immunisation impact imperative implement implementation implication imply import importance important
importantly impose impossible impress impression improve improvement in incentive inch incident include including
inclusion inclusive income incorporate increase increasing incredible increment indeed independence independent index
india indian indicate indication indicator individual industrial industry inevitable infection inflation influence
inform information informationen infrastructure infusion ingredient inhabitant inherit inhibit initial initially
initiate initiative inject injection injury ink inner innovate innovation innovative inpatient input inquiry ins insect
insert inside insight insist inspect inspection inspector inspiration inspire instagram install installation instance
instant instead institute institution instruct instruction instructor instrument insulin insurance insurer intake
integrate integration integrity intellectual intelligence intelligent intend intense intensity intensive intent
intention interact interaction interactive interest interesting interestingly interface interim intermediate internal
international internet interpret interpretation interrupt interval intervention interview into introduce introduction
introductory intuition intuitive invent invention inventory inverter invest investigate investigation investition
investitionen investment investor invitation invite invoice involve involvement ios iot ip ipad iphone ipo iq ireland
irish iron ironically is island iso isolate israeli issue ist it italian italien italy item iterate iteration its
itself iv ja jacket jahr jahre jahren jail jam januar january janvier japan japanese java javascript je jede jeder
jedes jedoch jener jetzt jeudi jewish job join joint joke joule journal journalist journey json judge judgement
judgment juice juillet juin jul juli july jump jun june juni junior jury just justice justify kaffee kaizen kanban kann
karte kasse keen keep kein keine kept ketchup key keyboard kick kid kidney kill kilogram kilometer kilometre kind
kinder king kingdom kiosk kitchen klima klinik knee knife knock know knowledge kollege kollegen kollegin konnte
kontrolle konzept kopf korea korean kosten kpi kpis krankenhaus krankheit kredit kubernetes kultur kunde kunden kundin
kunststoff können la lab label labor laboratory labour lack lady lager lake lan land landing landlord landscape lane
language laptop large largely laser last lastly late latency later latest lathe latin latte laugh launch law lawsuit
lawyer lay layer layout lazy le lead leader leadership leading leaf leak lean leap learn learner learning lease least
leather leave lecture led left leg legacy legal legend legislation lehrer leisure leitung lend length lens les lesion
less lesson lest let letter leur leurs leute level lever leverage liability liable library licence license lie liebe
lieber lieferant lieferanten lieferung life lifecycle lifestyle lifetime lift light like likely limit limitation
limited line linear linger linie link linkedin linux lip liquid list liste listen liter literacy literal literary
literature litre little live liver living llm llms load loan lobby local locate location lock log logic logical login
logistic logistics logo long look loop loose lose loss lost lot loud love lovely low lower loyal loyalty ltd lubricant
lubrication luck luckily lucky luft lunch lundi lung luxury lösung ma mac machine machinery machining macos madam
madame made maestro magazine magic magnetic mai mail main mainly maintain maintenance mais major majority make maker
male mall man manage management manager managing mandate mandatory mann manner manual manufacture manufacturer
manufacturing many map mar march mardi margin market marketing marketplace markt marriage married mars maschine
maschinen mass massive master mastercard match material maternity math mathematics matrix matter mature maturity
maximise maximize maximum may maybe mb mba me meal mean meaning meaningful meanwhile measure measurement meat mechanic
mechanical mechanism media medical medication medicine medikament medikamente mediterranean medium meet meeting
megabyte mehr mein meine meinen member membership memo memory men menge mensch menschen mental mention mentor menu menü
merchant merci mercredi mere merely merge merger merit mes message messaging metal metall meter metformin method
methodology metre metric mexican mexico mfg mhz mich microsoft middle midnight might migraine migrate migration mild
mile milestone military milk mill milliarde millimeter milling million millionen mind mine mineral minimal minimise
minimize minimum minister ministry minor minority minute minuten mir miracle mirror miss missing mission mistake mit
mitarbeitende mitarbeiter mitarbeiterin mitigate mitigation mittelstand mittwoch mix mixed mixer mixture ml mobile
mobility mode model modell modelle moderate modern modest modification modify modular module mold mom moment momentum
mon monat monate monaten monday money monitor monitoring monsieur montag month monthly mood moon moral more moreover
morgen morning mortgage most mostly motion motivate motivation motive motor moulding mount mountain mouse mouth move
movement movie mr mri mrs ms much multiple mum murder muscle museum music musical muslim muss must mutual mvp my myself
mystery myth männer märz möchte müssen nach nachhaltigkeit nachricht nachrichten nachteil nachteile naked name
narrative narrow nasa nation national nations native nato natural naturally nature navigate navigation navy near nearby
nearly neat neben necessarily necessary necessity neck need negative negotiate negotiation neighbor neighborhood
neighbour nein neither nenne nephew nerve nervous net netherlands network netz netzwerk neural neurology neutral never
nevertheless new newly news newsletter newspaper newton next ngo nhs nice niche nicht niece night nine nineteen ninety
ninth nlp no nobody noch noise noisy nominal nomination none nonetheless nonprofit noon nor norm normal normally north
northern norway norwegian nos nose not notable notably note notebook nothing notice notification notify notion notre
notwithstanding nous nov novel novelty november novembre now nowhere nozzle nuclear number numerous nur nurse nursing
nut nutrition nutzen ob object objective obligation observation observe obstacle obstetric obtain obvious obviously
occasion occasional occupation occupy occur ocean ocr oct october octobre odd oder oecd oee oem of off offer office
officer official offline offset often oh ohne oil ok okay okr okrs oktober old omit on onboard onboarding once oncology
one ongoing onion online only ont onto open opener opening operate operation operational operator opex opinion opponent
opportunity oppose opposite opposition optical optimal optimisation optimise optimization optimize option optional or
oral orange orbit order ordinary organ organic organisation organise organization organizational organize orient
orientation origin original ort orthopaedic orthopedic os oss other others otherwise ou ought our ours ourselves out
outbreak outcome outline outlook outpatient output outreach outside outsource outsourcing outstanding oven over overall
overcome overhead overlap overnight oversee overview owe own owner ownership oxygen où pace pacific pack package
packaging packet paediatric page pain paint painting pair pakistani palette pallet palliative pan pandemic panel panic
paper par paracetamol paragraph parallel parameter parent park parking parliament part partial participant participate
participation particular particularly partly partner partnership party pascal pass passage passenger passion passive
password past patch patent path pathology patience patient patienten patientin pattern pause pay payment paypal payroll
pc pcr pdca pdf peace peak pediatric peer pen penalty pencil pendant pending pension people pepper per percent
percentage perception perfect perform performance perhaps period permanent permission permit persist person persona
personal personality personally personnel perspective persuade pestel pestle peut peuvent pflege pflicht pflichten
pharmacist pharmacy phase phd phenomenon philosophy phone photo photograph photography phrase physical physician
physics physiotherapy piano pick picture piece pile pill pilot pin pink pipe pipeline piston pitch pizza place plain
plan plane planet planning plant plastic plate platform plating platz play playbook player plc pleasant please pleasure
plenty plot plus pm pmo pneumatic pneumonia pocket poem poet poetry point poison poland police policy polish polite
political politician politics politik poll pollution polymer pool poor pop popular population port portable portfolio
portion portrait portugal portuguese pos position positioning positive possess possession possibility possible possibly
post poster postpone pot potato potential pound pour pourquoi poverty powder power powerful powerpoint ppm ppt pr
practical practice practitioner praise praxis pray precise precision predict prediction predictive prefer preference
pregnancy pregnant preis preise premium preparation prepare prescription presence present presentation preserve
president press pressure presumably pretend pretty prevent prevention previous previously price pricing pride primarily
primary prime principal principle print printer prior prioritise prioritize priority prison privacy private privilege
prize pro probability probable probably problem problemstellung procedure proceed process processing processor
procurement produce producer product production productive productivity produkt produkte profession professional
professor profile profit profitability profitable program programm programme programmer programming progress
progressive project projection projekt projekte prominent promise promising promote promotion prompt proof proper
properly property proportion proposal propose proprietary prospect prospective protect protection protein protest
protestant protocol prototype proud prove proven provide provided provider province provision prozent prozess prozesse
prüfe prüfung pst psychiatry psychological psychology pto public publication publicity publish publisher pull pulmonary
pulse pump punish punkt punkte pupil purchase pure purple purpose pursue pursuit push put puzzle python qa qr qrcode
qualification qualified qualify qualitative quality qualität quand quantify quantitative quantity quantum quarter
quarterly que queen quel quelle quelles quels query quest question questionnaire queue qui quick quickly quiet quit
quite quiz quoi quota quotation quote race racial rack radiation radical radio radiology raid rail railway rain raise
ram random range rank ranking rapid rapidly rare rarely rash rate rather rating ratio rational raum raw re reach react
reaction read reader readiness reading ready real realise realistic reality realize really rear reason reasonable
reasonably reasoning recall receipt receive recent recently reception recession rechner rechnung rechnungen recht
recipe recipient recognise recognition recognize recommend recommendation reconcile record recording recover recovery
recruit recruiter recruiting recruitment recurring recycle recycling red redesign reduce reduction redundancy redundant
refer reference referral refine reflect reflection reform refresh refugee refund refuse regard regarding regardless
regards regel regeln regierung region regional register registration registry regression regular regularly regulate
regulation regulator regulatory rehabilitation reject rejection relate related relation relationship relative
relatively relax relay release relevance relevant reliability reliable relief relieve religion religious rely remain
remainder remaining remark remarkable remember remind reminder remote removal remove renew renewable renewal rent
rental repair reparatur repeat repeated replace replacement reply report reporter reporting repository represent
representation representative republic reputation request require requirement rescue research researcher reserve
resident residual resign resilience resilient resin resist resistance resolution resolve resort resource respect
respective respectively respiratory respond respondent response responsibility responsible responsive rest restaurant
restore restrict restriction restructure restructuring result resume retail retailer retain retention retire retirement
retrieve return reuse reveal revenue reverse review reviewer revise revision revolution reward rfid rfp rhythm rice
rich rid ride right ring rise risiken risiko risk risky ritual rival river rivet rnd road roadmap robot robotic
robotics robust rock roi role roll rollout romanian romantic roof room root rotate rotation rotor rough roughly round
route routine row royal rsvp rubber rule ruler rumour run runner running rural rush russia russian rédige rédigez
résume résumez rücken rückmeldung saas sacrifice sad safe safeguard safety sail salad salary sale sales salesperson
salt sam same samedi sample sampling samstag sanction sand sandwich sans sap sat satellite satisfaction satisfied
satisfy saturday satz sauce save saving say scalable scale scan scanner scarce scarcity scare scenario scene schedule
scheduling scheme schicht schichten schmerz schmerzen scholar schon school schreibe schritt schritte schule schulung
schweiz schüler science scientific scientist scope score scorecard scotland scottish scrap screen screening screw
script scrum sea seal search season seasonal seat second secondary secondly secret secretary section sector secure
security see seek seem seen segment segmentation sehr sein seine seinen seit select selection self sell seller senate
send senior sense sensible sensitive sensitivity sensor sentence sentiment sep separate separately sepsis sept
september septembre sequence series serious seriously serve server service session set setback setting settle
settlement setup seven seventeen seventh seventy several severe sex sexual shadow shaft shake shall shape share shared
shareholder sharp she sheet shelf shell shelter shift shine ship shipment shipping shirt shock shoe shoot shop shopping
shore short shortage shortlist shot should shoulder shout show shower shut shy si sicherheit sick side sie sight sigma
sign signal signature significance significant significantly silence silent silver similar similarly simple simplify
simply simulate simulation simultaneous since sincere sincerely sind sing singer single sintering sir sister sit site
situation six sixteen sixth sixty size sketch skill skilled skin skip sku skus sky sla slack slas sleep slice slide
slight slightly slip slogan slope slot slovak slow slowly small smart sme smell smes smile smoke smoking smooth
smoothly sms snack snow so social society sock soft software soil solar soldier sole solely solid soll sollte sollten
solution solve some somebody somehow someone something sometimes somewhat somewhere son song sonntag sonst sont soon
sop sophisticated sops sorry sort soul sound soup source sourcing sous south southern sowie space spain spanien spanish
spare speak speaker special specialise specialist specialize specialty specific specifically specification specify
spectrum speech speed spell spend spin spindle spirit spiritual split spokesman sponsor sport spot sprache spray spread
spreadsheet spring sprint sql square ssd ssl staat stabilise stability stabilize stable stadium stadt staff staffing
stage stahl stainless stair stake stakeholder stamp stamping stand standard standardise standardize standort standorte
star stare start starting startup state statement states static station statistic statistical statistics stator status
stay steady steal steam steel steep stem step stick still stimulate stock stone stop storage store storm story straight
straightforward strain strange stranger strategic strategically strategie strategist strategy straße stream streamline
street strength strengthen stress stretch strict strictly strike string strip stroke strom strong strongly structural
structure struggle student studio study stuff stunde stunden stupid style störung subject submission submit subscribe
subscriber subscription subsequent subsequently subsidiary subsidy substance substantial substitute suburb succeed
success successful successfully succession successor such sudden suddenly suffer sufficient sufficiently sugar suggest
suggestion suit suitable sum summarise summarize summary summer sun sunday super superior supervise supervision
supervisor supplement supplier supply support supporter suppose supposed supposedly supreme sur sure surely surface
surge surgeon surgery surgical surplus surprise surprising surprisingly surround survey survival survive survivor
suspect suspend suspicion sustain sustainability sustainable sweden swedish sweet swift swim swiss switch switzerland
swot symbol symptom symptome syndrome synergy syntax synthesis synthesise synthesize syringe system systematic systeme
sätze tabelle table tablet tablette tabletten tackle tactic tactical tag tage tagen tail tailor take talent talk tall
tan tank tap tape target tariff task taste tax taxi tb tbd tco tea teach teacher team teams tear tech technical
technically technician technik technique technological technologie technology teenager teil teile telephone television
tell temperatur temperature template temporary tempt ten tend tendency tender tension tent tenth tenure terabyte term
termin terminal terminate termine terminology territory terror terrorism test testimony testing text textbook texte
texture than thank thanks that the theater theatre their theirs them thema theme themen themselves then theoretical
theory therapie therapist therapy there thereby therefore thermal thermostat these they thick thin thing things think
thinking third thirdly thirteen thirty this thorough thoroughly those though thought thousand thread threat threaten
three threshold thrive throat through throughout throughput throw thu thumb thur thurs thursday thus thyroid ticket
tide tie tight tighten till timber time timeline timely timetable timing tin tiny tip tire tired tissue title tls to
today together toilet token tolerance tolerate tomato tomorrow ton tone tongue tonight too took tool tooling toolkit
tooth top topic topping torque total totally touch tough tour tourism tourist toward towards towel tower town toxic toy
tpm trace traceability track tracking traction trade trademark tradition traditional traffic tragedy trail train
trainer training trait transaction transfer transform transformation transformer transit transition translate
translation translator transmission transmit transparency transparent transport transportation trap trash trauma travel
traveler traveller treasure treat treatment treaty tree tremendous trend trial tribe trick trigger trillion trim trip
triple trotz trouble truck true truly trust truth try tu tube tue tues tuesday tuition tumor tumour tune tunnel turbine
turkey turkish turn turnaround turnover tutor tutorial tv twelve twenty twice twin twist twitter two type typical
typically uat ubuntu ugly uhr uhrzeit ui uk ukraine ukrainian ultimate ultimately ultrasound um umsatz umsetzung umwelt
un unable uncertain uncertainty uncle unclear und under underestimate undergo underlying understand understanding
undertake undoubtedly une unemployment unexpected unfair unfortunate unfortunately unhappy unified uniform unify union
unique unit unite united unity universal universe university unix unknown unless unlike unlikely unlock unnecessary uns
unser unsere unseren unter unternehmen untersuchung until unusual up upcoming update upfront upgrade upload upon upper
upset upside urban urge urgency urgent url urls urology ursache ursachen us usa usability usage usb usd use used useful
useless user using usp usual usually utc utilisation utilise utility utilization utilize ux vacation vaccination
vaccine vacuum vague valid validate validation validity valley valuable valuation value valve van variable variance
variant variation variety various vary vast vat vegan vegetable vegetarian vehicle vein vendor vendredi venture venue
verb verbesserung verdict vergangenheit vergleich vergleiche verification verify verlust vers versicherung version
versus vertical vertrag verträge very veteran via viability viable vibration vice victim victory video viel viele view
viewer viewpoint village violate violation violence violent virtual virtually virtue virus visa visibility visible
vision visit visitor visual vital vitamin vocabulary voice voici void volatile volatility volt volume voluntary
volunteer von vor vorschlag vorschläge vorteil vorteile vos vote voter votre voucher vous vpn vs vulnerability
vulnerable wachstum wage wait waiter wake wales walk wall wann want war ward warehouse waren warm warn warning warranty
wartung warum was wash wasser waste watch water watt wave we weak weaken weakness wealth weapon wear weather web
website wed wedding wednesday week weekend weekly weg wegen weigh weight weil weird welche welchen welcher welches
welcome weld welding welfare well wellbeing welsh weniger wenn went wer werden were werk werkzeug wert werte west
western wet wettbewerb wettbewerber what whatever whatsapp wheel when whenever where whereas wherever whether which
whichever while white who whoever whole wholesale whom whose why wide widely widespread width wie wieso wife wifi
wikipedia wild will willing win wind window windows wine wing winner winter wir wird wire wireless wirtschaft wisdom
wise wish with withdraw within without witness wo woche wochen woman women wonder wonderful wood wooden word wording
wordpress work worker workflow workforce working workload workplace workshop world worldwide worry worse worst wort
worth worthy would wound wrap write writer writing written wrong wurde wurden während wörter xml xray yaml yard yeah
year yearly yellow yen yes yesterday yet yield you young your yours yourself yourselves youth youtube ytd zahl zahlen
zeige zeit zero ziel zimmer zone zoom zu zudem zug zukunft zum zur zusammenfassung zwischen änderung änderungen ärzte
ärztin écris écrivez était être öl österreich über übersicht
""".split()  # noqa: SIM905 - five thousand quoted words would not be read
)
