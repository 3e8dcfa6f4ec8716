"""``graphseq recipes`` says what there is."""

from graphseq.recipes import all_recipes, find_recipe, reference_results


def test_the_table(graphseq):
    out = graphseq("recipes").out
    for name, recipe in all_recipes().items():
        line = next(line for line in out.splitlines() if line.startswith(f"{name} "))
        assert recipe.network in line and recipe.summary in line and reference_results().get(name, "") in line


def test_the_table_as_json(graphseq):
    done = graphseq("recipes", "--json")
    assert [card["recipe"] for card in done.last] == list(all_recipes())
    assert done.out.count("\n") == 1


def test_options_of_each(graphseq):
    for name, recipe in all_recipes().items():
        out = graphseq("recipes", name).out
        for option in recipe.described():
            assert option.help, f"{name}: {option.name} has no help"
            line = next(line for line in out.splitlines() if line.startswith(f"{option.name} "))
            assert option.help in line and option.kind in line
        assert recipe.input in out


def test_options_as_json(graphseq):
    options = {option["name"]: option for option in graphseq("recipes", "digits-gru", "--json").last["options"]}
    assert options["layer"]["default"] == "gru" and options["epochs"]["type"] == "an integer of at least 1"
    assert options["dropout"] | {"help": ""} == {
        "name": "dropout", "type": "a number from 0 to 1", "default": 0.0, "help": "",
    }  # fmt: skip


def test_slips(graphseq):
    assert "did you mean 'digits-gru'?" in graphseq("recipes", "digit-gru", code=2).err
    assert "`recipe`: expected a module that is installed" in graphseq("recipes", "nowhere:Recipe", code=2).err


def test_one_of_ones_own(graphseq, monkeypatch):
    from examples import my_recipe

    out = graphseq("recipes", "examples.my_recipe:Brackets").out
    assert my_recipe.Brackets.summary in out and "pairs of brackets" in out
    assert find_recipe("examples.my_recipe:Brackets") == my_recipe.Brackets()
