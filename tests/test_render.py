"""Ray casting: depth, ids, normals, masks, shadows and textures of scenes that can be computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("embreex", reason="ray casting needs embreex: pip install embreex")

from uois_sam_ros.errors import ConfigError
from uois_sam_ros.synthetic.model import MATERIALS, Camera, Light, ObjectModel, Piece, Placed, Scene, Surface
from uois_sam_ros.synthetic.render import Renderer, camera_rays
from uois_sam_ros.synthetic.textures import KINDS, ImageTexture, dress, random_texture

WIDTH, HEIGHT = 80, 60
CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
CUBE_FACES = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6],
                       [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]], np.int32)


def plain(*colour: float) -> ImageTexture:
    return ImageTexture((np.array(colour, np.float32).reshape(1, 1, 3),), np.zeros(3), np.ones(3))


def cube(half: tuple, at: tuple, *, texture=None, material="matte", family="box", parts=1) -> Placed:
    vertices = CUBE * np.array(half, np.float32)
    pieces = tuple(Piece(vertices + np.array([0, 0, 2 * half[2] * k], np.float32), CUBE_FACES, k) for k in range(parts))
    surface = Surface(material, texture or plain(0.5, 0.5, 0.5), 0.9)
    pose = np.eye(4)
    pose[:3, 3] = at
    return Placed(ObjectModel(family, pieces, tuple(f"part{k}" for k in range(parts)), (surface,) * parts), pose)


def camera_above(height: float = 1.0, width: int = WIDTH, rows: int = HEIGHT) -> Camera:
    """Looks straight down from ``height``; image x is world x, image y is world -y."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = height
    return Camera(width, rows, (100.0, 100.0, (width - 1) / 2, (rows - 1) / 2), pose)


def scene_of(*objects: Placed, lights: tuple[Light, ...] = (), ambient: float = 0.5) -> Scene:
    table = cube((2, 2, 0.1), (0, 0, -0.1), texture=plain(0.6, 0.6, 0.6), family="table")
    return Scene(tuple(objects), (table,), lights, np.full(3, ambient, np.float32))


def test_depth_label_and_normal_of_a_cube():
    render = Renderer(scene_of(cube((0.1, 0.1, 0.1), (0, 0, 0.1)))).view(camera_above())
    middle = HEIGHT // 2, WIDTH // 2
    assert render.depth[middle] == pytest.approx(0.8, abs=1e-5)
    assert render.depth[0, 0] == pytest.approx(1.0, abs=1e-5), "depth is along the axis, not along the ray"
    assert render.label[middle] == 1 and render.label[0, 0] == 0
    assert render.normal[middle] == pytest.approx([0, 0, -1], abs=1e-5)
    # The top face spans 0.2 m at 0.8 m: 25 pixels, +- the half pixel at each side.
    assert abs(int((render.label[middle[0]] == 1).sum()) - 25) <= 1
    assert render.color.dtype == np.uint8 and render.label.dtype == np.uint16 and render.depth.dtype == np.float32


def test_depth_is_zero_where_nothing_is_hit():
    scene = replace(scene_of(cube((0.1, 0.1, 0.1), (0, 0, 0.1))), background=())
    render = Renderer(scene).view(camera_above())
    assert render.depth[0, 0] == 0 and (render.normal[0, 0] == 0).all() and render.depth.max() > 0


def test_amodal_masks_ignore_what_is_in_front():
    below = cube((0.1, 0.05, 0.05), (0, 0, 0.05))
    above = cube((0.032, 0.1, 0.02), (0, 0, 0.3))
    render = Renderer(scene_of(below, above)).view(camera_above())
    alone = Renderer(scene_of(below)).view(camera_above())
    assert render.amodal.shape == (2, HEIGHT, WIDTH)
    hidden = render.amodal[0] & (render.label == 2)
    assert hidden.sum() > 50
    assert (render.amodal[0] ^ (alone.label == 1)).sum() <= 8
    assert (render.amodal[1] ^ (render.label == 2)).sum() <= 8, "nothing hides the upper one"


def test_amodal_can_be_skipped():
    render = Renderer(scene_of(cube((0.1, 0.1, 0.1), (0, 0, 0.1)))).view(camera_above(), amodal=False)
    assert render.amodal.shape == (0, HEIGHT, WIDTH)


def test_part_ids_run_over_objects():
    first = cube((0.05, 0.05, 0.02), (-0.15, 0, 0.02), parts=2)
    second = cube((0.05, 0.05, 0.02), (0.15, 0, 0.02), parts=2)
    camera = camera_above()
    # Look from the side so that both parts of each stack show.
    side = np.eye(4)
    side[:3, :3] = np.stack([[1, 0, 0], [0, 0, -1], [0, 1, 0]], axis=1)
    side[:3, 3] = (0, -0.8, 0.04)
    render = Renderer(scene_of(first, second)).view(replace(camera, pose=side))
    assert set(np.unique(render.part[render.label == 1])) == {1, 2}
    assert set(np.unique(render.part[render.label == 2])) == {3, 4}
    assert (render.part[render.label == 0] == 0).all()


def test_smooth_pieces_have_interpolated_normals_and_creases_stay():
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rim = np.stack([0.1 * np.cos(angles), 0.1 * np.sin(angles)], 1)
    vertices = np.concatenate([np.c_[rim, np.zeros(12)], np.c_[rim, np.full(12, 0.1)], [[0, 0, 0.1]]])
    vertices = vertices.astype(np.float32)
    following = (np.arange(12) + 1) % 12
    sides = [[[i, j, j + 12], [i, j + 12, i + 12]] for i, j in zip(range(12), following)]
    top = [[i + 12, j + 12, 24] for i, j in zip(range(12), following)]
    faces = np.array([face for pair in sides for face in pair] + top, np.int32)

    def mesh(smooth):
        model = ObjectModel("can", (Piece(vertices, faces, 0, smooth),), surfaces=(Surface(texture=plain(1, 1, 1)),))
        return Renderer(scene_of(Placed(model, np.eye(4)))).mesh

    smooth, flat = mesh(True), mesh(False)
    can = slice(0, len(faces))
    corner = smooth.corner_normals[can][:24]
    radial = smooth.vertices[smooth.faces[can][:24]] * (1, 1, 0)
    radial /= np.linalg.norm(radial, axis=-1, keepdims=True)
    assert np.allclose(corner, radial, atol=0.05), "side normals point outward at every corner"
    assert np.allclose(smooth.corner_normals[can][24:], [0, 0, 1], atol=1e-5), "the lid's edge is not smeared"
    assert np.allclose(flat.corner_normals[can], flat.face_normals[can][:, None])


def test_a_lamp_throws_a_shadow():
    block = cube((0.05, 0.05, 0.1), (0, 0, 0.1))
    sun = Light("sun", np.array([1.0, 0, 1.0]), np.full(3, 1.0, np.float32), 0.0)
    render = Renderer(scene_of(block, lights=(sun,), ambient=0.2)).view(camera_above())
    grey = render.color.mean(2)
    row = HEIGHT // 2
    shadow, open_ground = grey[row, 22:28].mean(), grey[row, 60:75].mean()
    assert render.label[row, 22:28].max() == 0
    assert shadow < 0.7 * open_ground


def test_lights_can_be_replaced_for_one_view():
    renderer = Renderer(scene_of(cube((0.05, 0.05, 0.1), (0, 0, 0.1)), ambient=0.3))
    red = Light("point", np.array([0, 0, 1.5]), np.array([2.0, 0, 0], np.float32), 0.0)
    before, lit = (renderer.view(camera_above(), **extra).color.astype(float) for extra in ({}, {"lights": (red,)}))
    assert np.ptp(before.mean((0, 1))) < 60 < np.ptp(lit.mean((0, 1)))


def test_glass_shows_and_measures_what_is_behind():
    wall = plain(0.9, 0.02, 0.02)
    scene = scene_of(cube((0.1, 0.1, 0.1), (0, 0, 0.1), material="glass", texture=plain(0.97, 0.97, 0.97)))
    table = replace(scene.background[0].model, surfaces=(Surface("matte", wall, 0.9),))
    scene = replace(scene, background=(replace(scene.background[0], model=table),))
    render = Renderer(scene).view(camera_above())
    middle = HEIGHT // 2, WIDTH // 2
    assert render.label[middle] == 1 and render.material[middle] == MATERIALS.index("glass")
    assert render.depth[middle] == pytest.approx(0.8, abs=1e-5)
    assert render.behind[middle] == pytest.approx(1.0, abs=1e-5)
    patch = render.color[25:35, 35:45].reshape(-1, 3).mean(0)
    assert patch[0] > 1.8 * patch[1], "the red table shows through"


def test_views_are_repeatable_and_numbered_views_differ():
    renderer = Renderer(scene_of(cube((0.1, 0.1, 0.1), (0, 0, 0.1))), seed=4)
    first, again, other = (renderer.view(camera_above(), index=index) for index in (0, 0, 1))
    assert np.array_equal(first.color, again.color)
    assert not np.array_equal(first.color, other.color)
    assert np.array_equal(first.label, other.label)


def test_supersampling_changes_colour_alone():
    renderer = Renderer(scene_of(cube((0.1, 0.07, 0.1), (0, 0, 0.1))))
    coarse, fine = renderer.view(camera_above()), renderer.view(camera_above(), supersample=2)
    assert np.array_equal(coarse.depth, fine.depth) and np.array_equal(coarse.label, fine.label)
    assert coarse.color.shape == fine.color.shape


def test_redressed_renderer_keeps_geometry_and_changes_looks():
    scene = scene_of(cube((0.1, 0.1, 0.1), (0, 0, 0.1)))
    renderer = Renderer(scene)
    painted = replace(scene.objects[0].model, surfaces=(Surface(texture=plain(0, 0.9, 0)),))
    green = replace(scene.objects[0], model=painted)
    other = renderer.redressed(replace(scene, objects=(green,)), seed=0)
    first, second = renderer.view(camera_above()), other.view(camera_above())
    assert np.array_equal(first.depth, second.depth)
    inside = second.label == 1
    assert second.color[inside][:, 1].mean() > 1.5 * second.color[inside][:, 0].mean()
    assert np.ptp(first.color[inside].mean(0)) < 60


def test_rays_go_through_pixel_centres():
    camera = Camera(4, 2, (2.0, 2.0, 1.5, 0.5), np.eye(4))
    _, rays, along = camera_rays(camera)
    assert rays[0] / rays[0, 2] == pytest.approx([-0.75, -0.25, 1])
    assert along == pytest.approx(rays[:, 2])


@pytest.mark.parametrize("kind", KINDS)
def test_textures_are_valid_and_repeatable(kind):
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (700, 3)).astype(np.float32)
    normals = np.eye(3, dtype=np.float32)[np.arange(700) % 3]
    for seed in range(12):
        samples = [random_texture(np.random.default_rng(seed), kind).sample(points, normals) for _ in range(2)]
        assert samples[0].shape == (700, 3) and samples[0].dtype == np.float32
        assert samples[0].min() >= 0 and samples[0].max() <= 1
        assert np.array_equal(*samples)


def test_unknown_texture_kind_is_refused():
    with pytest.raises(ConfigError, match="object.*got 'sky'"):
        random_texture(np.random.default_rng(0), "sky")


def test_labels_cover_the_object_once_and_wrap_without_a_seam():
    rng = np.random.default_rng(2)
    bounds = np.array([-0.03, -0.03, 0], np.float32), np.array([0.03, 0.03, 0.1], np.float32)
    texture = random_texture(rng, "label", bounds=bounds, wrap=True)
    near = np.array([[-0.03, 1e-5, 0.05], [-0.03, -1e-5, 0.05]], np.float32)
    sides = np.array([[-1, 0, 0]] * 2, np.float32)
    assert np.allclose(*texture.sample(near, sides), atol=0.02)
    _, u, v = texture.project(np.stack([bounds[0], bounds[1]]), np.array([[0, 1, 0]] * 2, np.float32))
    assert v == pytest.approx([1, 0]) and u.min() >= 0 and u.max() <= 1


def test_far_pixels_see_an_average_of_a_fine_pattern():
    stripes = np.zeros((1, 64, 3), np.float32)
    stripes[:, ::2] = 1
    texture = ImageTexture((stripes,), np.zeros(3, np.float32), np.full(3, 0.064, np.float32))
    points = np.random.default_rng(0).uniform(0, 0.06, (200, 3)).astype(np.float32)
    up = np.tile(np.array([0, 0, 1], np.float32), (200, 1))
    assert texture.sample(points, up).std() > 0.2
    assert texture.at_scale(0.016).sample(points, up).std() < 0.05


def test_dress_fills_every_surface_and_keeps_given_ones():
    given = plain(0.1, 0.2, 0.3)
    scene = scene_of(cube((0.1, 0.1, 0.1), (0, 0, 0.1), texture=given))
    bare = replace(scene.objects[0], model=replace(scene.objects[0].model, surfaces=(Surface("metal"),)))
    dressed = dress(replace(scene, objects=(scene.objects[0], bare)), np.random.default_rng(0))
    assert dressed.objects[0].model.surfaces[0].texture is given
    assert dressed.objects[1].model.surfaces[0].texture is not None


def test_path_tracer_agrees_with_the_ray_caster_on_geometry():
    pytest.importorskip("mitsuba", reason="the second renderer needs mitsuba: pip install mitsuba")
    from uois_sam_ros.synthetic.pathtrace import trace

    dark = plain(0.02, 0.02, 0.02)
    scene = scene_of(cube((0.08, 0.05, 0.05), (0.05, 0.03, 0.05), texture=plain(0.02, 0.9, 0.02)))
    table = replace(scene.background[0].model, surfaces=(Surface("matte", dark, 0.9),))
    scene = replace(scene, background=(replace(scene.background[0], model=table),))
    camera = replace(camera_above(), intrinsics=(100.0, 100.0, 46.0, 24.0))
    linear = trace(scene, camera, samples=4)
    assert linear.shape == (HEIGHT, WIDTH, 3) and linear.dtype == np.float32
    green = linear[..., 1] > 0.15
    label = Renderer(scene).view(camera).label == 1
    assert (green & label).sum() / (green | label).sum() > 0.9
    assert linear[green][:, 1].mean() > 5 * linear[green][:, 0].mean()
